"""Recorded deliveries of public projects: read in place, each of them events or a reason."""

from __future__ import annotations

import json

import pytest
from corpus import corpus_path

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate_plugins import codecommit

pytestmark = pytest.mark.corpus

KIND = next(iter(codecommit.headgate_providers()))
EVENTS = {"code-commit-event.json": ["refs/heads/master"]}
"""The refs that each file tells of; the others are samples of SNS about something else."""


def test_every_recorded_delivery_gives_events_or_a_reason():
    count = 0
    for line in (corpus_path() / "manifest.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["provider"] != "codecommit":
            continue
        body = (corpus_path() / row["file"]).read_bytes()
        reading = KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=body))
        expected = EVENTS.get(row["file"].rpartition("/")[2])
        if expected is None:
            assert reading.reason
        else:
            assert [event.ref for event in reading.events] == expected
            for event in reading.events:
                check_event(event, KIND)
        count += 1
    assert count == 4
