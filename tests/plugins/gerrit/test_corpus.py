"""Recorded Gerrit events of other projects: read in place, each to events or a reason."""

from __future__ import annotations

import json

import pytest
from corpus import corpus_path

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate_plugins import gerrit

pytestmark = pytest.mark.corpus

KIND = next(iter(gerrit.headgate_providers()))

EXPECTED = {
    "gerrit-events/gerrit/DeserializeChangeDeletedTest.json": api.Ignored,
    "gerrit-events/gerrit/DeserializeEventCreatedOnTest.json": ["reopened"],
    "gerrit-events/gerrit/DeserializeVoteDeletedTest.json": api.Ignored,
    "gerrit-events/gerrit/java-01-patchset-created.json": ["opened"],
    "gerrit-events/gerrit/java-02-patchset-created.json": ["opened"],
    "go-gerrit/gerrit/event-0.json": api.Ignored,  # made anonymous: its commit is git's "no object"
    "go-gerrit/gerrit/event-1.json": ["created"],
    "jenkins-gerrit-trigger/gerrit/DeserializeEventCreatedOnTest.json": ["reopened"],
    "jenkins-gerrit-trigger/gerrit/java-01-patchset-created.json": ["updated"],
    "zuul/gerrit/getChangeAbandonedEvent.json": ["closed"],
    "zuul/gerrit/getRefUpdatedEvent.json": ["refs/heads/master"],
}

NOT_JSON = {"gerrit-events/gerrit/DeserializeHashtagsChangedTest.json"}
"""Has commas behind the last items of lists, which its own reader takes and no server sends."""


def rows():
    manifest = (corpus_path() / "manifest.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, manifest) if row.get("provider") == "gerrit"]


def body(file):
    return (corpus_path() / file).read_bytes()


def read(data):
    return KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=data))


def test_every_recorded_event_gives_events_or_a_reason():
    seen = set()
    for row in rows():
        if row["file"] in NOT_JSON:
            assert row["notjson"]
            continue
        reading = read(body(row["file"]))
        wanted = EXPECTED[row["file"]]
        if wanted is api.Ignored:
            assert isinstance(reading, api.Ignored)
            assert reading.reason
        else:
            for event in reading.events:
                check_event(event, KIND)
            assert [getattr(one, "action", None) or one.ref for one in reading.events] == wanted
        seen.add(row["file"])
    assert seen == set(EXPECTED)


def test_what_is_not_json_is_unreadable_and_would_be_read_without_its_fault():
    for file in NOT_JSON:
        text = body(file).decode()
        with pytest.raises(api.Unreadable, match="not JSON"):
            read(text.encode())
        repaired = text.replace('"newtag2",\n', '"newtag2"\n')
        assert repaired != text
        assert "commit" in read(repaired.encode()).reason


def test_fields_are_what_was_sent():
    compared = 0
    for file in EXPECTED:
        payload, reading = json.loads(body(file)), read(body(file))
        if isinstance(reading, api.Ignored):
            continue
        for event in reading.events:
            compared += 1
            if isinstance(event, api.Push):
                update = payload["refUpdate"]
                assert (event.before, event.after) == (update["oldRev"], update["newRev"])
                assert event.repository.path == update["project"]
                continue
            change = payload["change"]
            assert event.repository.path == change["project"]
            assert event.url == change["url"]
            if isinstance(event, api.ChangeRequest):
                assert (event.number, event.title, event.target.branch) == (
                    int(change["number"]),
                    change["subject"],
                    change["branch"],
                )
                assert (event.source.sha, event.head_ref) == (
                    payload["patchSet"]["revision"],
                    payload["patchSet"]["ref"],
                )
            else:
                assert (event.change, event.body) == (int(change["number"]), payload["comment"])
                assert event.author == payload["author"]["username"]
    assert compared == 8
