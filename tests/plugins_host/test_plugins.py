"""Discovery: one broken plugin is one report, and never anybody else's loss."""

from __future__ import annotations

import sys

import pluggy
import pytest

from headgate.api import hookspecs
from headgate.plugins import load_plugins

GOOD = """
from headgate import api

HEADGATE_API = 1


class Moon:
    needs_paths = False

    def match(self, subject):
        return None


@api.hookimpl
def headgate_triggers():
    yield api.TriggerKind(name="NAME", summary="Builds on full moons", schema=api.EMPTY_SCHEMA, compile=lambda _: Moon())
"""

FAULTS = {
    "an import error": ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError"),
    "a module that exits": ("raise SystemExit(3)", "cannot be imported: SystemExit"),
    "a syntax error": ("def broken(:", "cannot be imported: SyntaxError"),
    "no API version": ("", "add HEADGATE_API = 1"),
    "another API version": ("HEADGATE_API = 99", "written for API 99, and this is API 1"),
    "a raising hook": (
        GOOD.replace("yield api", "raise RuntimeError('no moon')\n    yield api"),
        "headgate_triggers raised RuntimeError: no moon",
    ),
    "a hook that exits": (GOOD.replace("yield api", "raise SystemExit\n    yield api"), "raised SystemExit"),
    "a misspelt hook": (
        GOOD.replace("headgate_triggers", "headgate_triggrs"),
        "there is no hook headgate_triggrs; did you mean headgate_triggers?",
    ),
    "an unmarked hook": (GOOD.replace("@api.hookimpl", ""), "headgate_triggers is not marked with @hookimpl"),
    "a hook with arguments": (
        GOOD.replace("headgate_triggers()", "headgate_triggers(app)"),
        "a hook does not fit its specification",
    ),
    "an async hook": (
        GOOD.replace("def headgate", "async def headgate").replace("yield", "return"),
        "headgate_triggers is async",
    ),
    "a wrapper": (
        GOOD.replace("@api.hookimpl", "@api.hookimpl(wrapper=True)").replace("yield api", "return (yield)\n    api"),
        "must not be a wrapper",
    ),
    "something that is no kind": (GOOD.replace("yield api", "yield 42\n    api"), "gave a int, not a TriggerKind"),
    "nothing iterable": (
        GOOD.replace("yield api", "return 42\n    api"),
        "returned int, not an iterable",
    ),
    "a schema that is none": (
        GOOD.replace("api.EMPTY_SCHEMA", '{"type": "object", "properties": 3}'),
        "the schema of NAME is not usable",
    ),
    "a need that no provider can meet": (
        GOOD.replace("triggers", "notifiers")
        .replace("Trigger", "Notifier")
        .replace("compile=lambda _: Moon()", "open=None, needs=('status', 'moonlight')"),
        "NAME needs moonlight, which is no capability of providers",
    ),
    "a schema of no object": (GOOD.replace("api.EMPTY_SCHEMA", '{"type": "string"}'), "must be of type object"),
    "the name of a bundled kind": (
        GOOD.replace("NAME", "push"),
        "the trigger push is already given by headgate",
    ),
}


def report(loaded, name, distribution):
    (found,) = [one for one in loaded.reports if (one.name, one.distribution) == (name, distribution)]
    return found


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_with_its_origin_and_harms_nobody_else(fault, distribution):
    code, expected = FAULTS[fault]
    distribution("headgate-moon", {"moon": code}, version="2.5")
    distribution("headgate-sun", {"sun": GOOD.replace("NAME", "noon")})
    loaded = load_plugins()
    found = report(loaded, "moon", "headgate-moon")
    assert (found.status, found.version) == ("broken", "2.5")
    assert expected in found.reason
    assert loaded.kinds.broken["moon"].startswith("headgate-moon 2.5 is broken: ")
    assert report(loaded, "sun", "headgate-sun").kinds == ("trigger noon",)
    assert "noon" in loaded.kinds.triggers
    assert "push" in loaded.kinds.triggers, "the bundled plugins are there"


def test_control_pluggys_own_loader_loses_everybody_to_one_import_error(distribution):
    """What our walk protects against: with the loader that pluggy ships, one bad plugin stops all."""
    distribution("headgate-moon", {"moon": "import nothing_of_this_name"})
    manager = pluggy.PluginManager("headgate")
    manager.add_hookspecs(hookspecs)
    with pytest.raises(ModuleNotFoundError):
        manager.load_setuptools_entrypoints("headgate.plugins")


def test_a_good_stranger_is_loaded_with_its_distribution_and_version(distribution):
    distribution("headgate-moon", {"moon": GOOD.replace("NAME", "full_moon")}, version="3.1")
    loaded = load_plugins()
    assert report(loaded, "moon", "headgate-moon").status == "loaded"
    assert loaded.origins["trigger", "full_moon"].version == "3.1"


def test_what_is_denied_or_not_allowed_is_never_imported(distribution):
    distribution("headgate-moon", {"moon": GOOD.replace("NAME", "full_moon")})
    for rules in ({"deny": ["moon"]}, {"deny": ["headgate-moon"]}, {"allow": ["headgate"]}):
        loaded = load_plugins(**rules)
        assert report(loaded, "moon", "headgate-moon").status == "denied"
        assert "headgate_moon_moon" not in sys.modules
        assert "moon" in loaded.kinds.broken
    assert load_plugins(allow=["moon"]).kinds.triggers.keys() == {"full_moon"}
    assert "headgate_moon_moon" in sys.modules, "the control: without the rule it is imported"


def test_of_two_strangers_with_one_name_neither_is_trusted_until_one_is_denied(distribution):
    distribution("headgate-moon", {"moon": GOOD.replace("NAME", "full_moon")})
    distribution("headgate-luna", {"moon": GOOD.replace("NAME", "full_luna")})
    loaded = load_plugins()
    for name, rival in (("headgate-moon", "headgate-luna 1.0"), ("headgate-luna", "headgate-moon 1.0")):
        assert rival in report(loaded, "moon", name).reason
    assert not {"full_moon", "full_luna"} & set(loaded.kinds.triggers)
    assert "full_moon" in load_plugins(deny=["headgate-luna"]).kinds.triggers


def test_a_stranger_cannot_take_the_name_of_a_bundled_plugin(distribution):
    distribution("headgate-evil", {"triggers": GOOD.replace("NAME", "evil")})
    loaded = load_plugins()
    assert report(loaded, "triggers", "headgate-evil").status == "broken"
    assert "evil" not in loaded.kinds.triggers
    assert "push" in loaded.kinds.triggers


def test_bundled_plugins_come_by_entry_points_only_and_all_load():
    loaded = load_plugins()
    assert {one.status for one in loaded.reports if one.distribution == "headgate"} == {"loaded"}
    assert {"github", "git"} <= set(loaded.kinds.providers)
