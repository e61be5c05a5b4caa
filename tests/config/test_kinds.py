from __future__ import annotations

import dataclasses

from headgate.config.kinds import lost, missing, names

BROKEN = {
    "github": "headgate 1 is broken: x",
    "process_executor": "headgate 1 is broken: y",
    "triggers": "headgate 1 is denied: z",
}


def test_names_are_sorted(kinds):
    assert names(kinds, "triggers") == ("manual", "poll", "push")


def test_a_plugin_called_like_the_kind_or_its_group_is_named_alone(kinds):
    broken = dataclasses.replace(kinds, broken=BROKEN)
    assert missing(broken, "providers", "github") == "it comes with the plugin github: headgate 1 is broken: x"
    assert "process_executor" in str(missing(dataclasses.replace(broken, executors={}), "executors", "process"))
    assert missing(broken, "triggers", "anything") == "it comes with the plugin triggers: headgate 1 is denied: z"


def test_otherwise_every_broken_plugin_is_a_suspect(kinds):
    found = missing(dataclasses.replace(kinds, broken=BROKEN), "providers", "sourcehut")
    assert found is not None
    assert found.count("it may come with the plugin") == 3


def test_nothing_is_blamed_when_nothing_is_broken_or_the_kind_is_there(kinds):
    assert missing(kinds, "providers", "github") is None
    assert missing(dataclasses.replace(kinds, broken=BROKEN), "providers", "forge") is None


def test_a_misspelling_is_not_lost_and_a_stranger_is(kinds):
    broken = dataclasses.replace(kinds, broken=BROKEN)
    assert lost(broken, "providers", "froge") is None
    assert lost(broken, "providers", "sourcehut")
    assert lost(broken, "providers", "github")
