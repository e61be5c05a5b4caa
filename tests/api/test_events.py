"""Events: what they promise to everybody who stores, sends or reads them."""

from __future__ import annotations

import json

import msgspec
import pytest

from headgate import api
from headgate.api.testing import sample_events


@pytest.mark.parametrize("event", sample_events(), ids=api.event_type)
def test_an_event_survives_json_and_says_its_type(event):
    text = msgspec.json.encode(event)
    assert msgspec.json.decode(text, type=api.Event) == event
    assert json.loads(text)["type"] == api.event_type(event)


def test_there_is_a_sample_of_every_type():
    assert {type(event) for event in sample_events()} == set(api.Event.__args__)


@pytest.mark.parametrize(
    ("text", "sha"), [(None, None), ("", None), ("0" * 40, None), ("0" * 64, None), ("A1" * 20, "a1" * 20)]
)
def test_no_object_is_none(text, sha):
    assert api.sha_or_none(text) == sha


@pytest.mark.parametrize("text", ["", "a1", "0" * 40, "0" * 64, "a1" * 20 + "\n", "g1" * 20, "a1" * 21])
def test_what_is_no_full_commit_id(text):
    assert (api.full_sha("A1" * 20), api.full_sha("b2" * 32)) == ("a1" * 20, "b2" * 32)
    with pytest.raises(ValueError, match="no full commit id"):
        api.full_sha(text)


def test_values_are_frozen():
    with pytest.raises(AttributeError):
        sample_events()[0].ref = "refs/heads/other"


def test_a_change_request_says_where_its_head_is():
    """Else a build would take the default branch for it."""
    (change,) = (event for event in sample_events() if isinstance(event, api.ChangeRequest))
    nowhere = msgspec.structs.replace(change.source, sha=None)
    assert msgspec.structs.replace(change, source=nowhere, head_ref="refs/pull/7/head").source.sha is None
    with pytest.raises(ValueError, match="neither the commit of its head nor a ref"):
        msgspec.structs.replace(change, source=nowhere, head_ref=None)
