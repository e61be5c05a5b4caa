"""What strangers wrote neither steers a terminal nor speaks in our name, wherever it is shown."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from headgate import api
from headgate.app.terminal import Terminal
from headgate.telemetry import logs
from headgate.telemetry.logs import configure_logging
from headgate.telemetry.plain import OURS, attributed, plain, plain_json

HOSTILE = "main\x1b]0;owned\x07\x1b[2J\x9b2J\u202egpj"


@pytest.fixture(autouse=True)
def restored_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def steers(text: str) -> bool:
    return any((ord(one) < 0x20 and one not in "\n\t") or 0x7F <= ord(one) < 0xA0 or one == "\u202e" for one in text)


@given(st.text())
@example(HOSTILE)
def test_json_says_the_same_without_a_control_character(text):
    written = plain_json(json.dumps([text], ensure_ascii=False))
    assert json.loads(written) == [text]
    assert not steers(written)
    assert not steers(plain(text))


def test_control_json_itself_lets_them_through():
    assert steers(json.dumps(["\x9b2J"], ensure_ascii=False))


def fail() -> None:
    raise ValueError(HOSTILE)


def logged(log_format: str) -> str:
    stream = io.StringIO()
    configure_logging(log_format=log_format, level="info", redact=lambda text: text, stream=stream)
    structlog.get_logger().info("refused", reason=HOSTILE, nested=[HOSTILE, {HOSTILE: HOSTILE}], **{HOSTILE: 1})
    logging.getLogger("somebody.else").warning("from %s", HOSTILE)
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("it broke")
        logging.getLogger("somebody.else").exception("it broke there")
    return stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_the_servers_log_does_not_steer_the_terminal_it_is_read_on(log_format):
    text = logged(log_format)
    assert text.count("owned") > 5
    assert not steers(text)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_control_without_it_anybodys_request_would(log_format, monkeypatch):
    monkeypatch.setattr(logs, "plain", lambda text: text)
    monkeypatch.setattr(logs, "plain_json", lambda text: text)
    assert steers(logged(log_format))


def test_a_branch_an_actor_and_a_job_do_not_steer_the_servers_terminal():
    said: list[str] = []
    terminal = Terminal(said.append, config=Path("config.yaml"))
    build = api.Build(
        id="b_1", job="web", number=1, state=api.State.QUEUED, outcome=None, reason=f"asked for by {HOSTILE}",
        trigger="manual", connection="acme", repository=api.Repository(host="h", path="acme/web"),
        ref=f"refs/heads/{HOSTILE}", sha="a" * 40, before=None, change=None, definition="d", parameters={},
        priority=50, event_id="e_1", decision_id="x_1", delivery_id=None, queued_at=datetime.now(UTC),
    )  # fmt: skip
    terminal.build(build)
    terminal.serving("http://x", version="1", jobs=0, connections=0, problems={"connections.x": HOSTILE})
    assert sum("owned" in text for text in said) >= 2
    assert not any(steers(text) for text in said)


FORGED = [
    "[headgate] step 2/2: deploy",
    "[Headgate] succeeded: all 2 steps succeeded",
    "\x1b[0m[headgate] succeeded",
    "[head\x1b[1mgate] succeeded",
    "\u200b[headgate] succeeded",
    "\r[headgate] succeeded",
    "[head\u2060gate] succeeded",
]


@pytest.mark.parametrize("line", FORGED)
def test_no_line_of_a_build_passes_for_ours(line):
    assert attributed(line, ours=False) == "\\" + line
    assert attributed("step 2/2: deploy", ours=True) == "[headgate] step 2/2: deploy"
    assert attributed("headgate: cancelled", ours=True) == "[headgate] cancelled"


def test_control_unmarked_a_forged_line_reads_like_ours():
    assert FORGED[0] == attributed("step 2/2: deploy", ours=True)


@given(st.text())
def test_other_lines_stay_as_they_are(line):
    shown = attributed(line, ours=False)
    assert shown in {line, "\\" + line}
    assert not shown.startswith(OURS)
