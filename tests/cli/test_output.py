"""What strangers wrote cannot steer a terminal, and times and sizes read as a person says them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.cli import output

HOSTILE = "main\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202egpj.exe"


def test_a_branch_name_cannot_steer_the_terminal():
    shown = output.plain(HOSTILE)
    assert shown == r"main\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202egpj.exe"


def test_the_control_without_plain_the_sequence_would_reach_the_terminal():
    assert "\x1b]0;" in HOSTILE


@given(st.text())
def test_no_text_at_all_gets_a_control_character_through(text):
    for shown in (output.plain(text), output.log_text(text)):
        assert not any(ord(letter) < 0x20 and letter not in "\t\n" for letter in shown)
        assert not any(0x7F <= ord(letter) < 0xA0 for letter in shown)


def test_a_log_keeps_its_colours_on_a_terminal_and_nothing_else(monkeypatch):
    text = "\x1b[32mok\x1b[0m \x1b[2Jgone \x1b]8;;http://evil\x07link"
    assert output.log_text(text) == r"ok \x1b[2Jgone \x1b]8;;http://evil\x07link"
    monkeypatch.setattr(output, "colour_on", lambda *_: True)
    assert output.log_text(text) == "\x1b[32mok\x1b[0m \\x1b[2Jgone \\x1b]8;;http://evil\\x07link\x1b[0m"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (-3, "0.0 s"),
        (0.84, "0.8 s"),
        (12.4, "12 s"),
        (61, "1 min 1 s"),
        (1800, "30 min"),
        (7500, "2 h 5 min"),
        (100_000, "1 day"),
        (400_000, "4 days"),
    ],
)
def test_a_span_is_as_exact_as_a_person_needs_it(seconds, said):
    assert output.span(seconds) == said


def test_ago_and_took_read_the_api_s_times():
    now = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    assert output.ago("2026-05-04T11:57:00Z", now=now) == "3 min 0 s ago"
    assert output.ago("2026-05-04T12:00:30Z", now=now) == "in 30 s"
    assert output.ago(None) == "-"
    assert output.took("2026-05-04T11:59:00Z", None, now=now) == "1 min 0 s"
    assert output.took(None, None) == "-"


def test_refs_and_shas_are_short():
    assert output.short_ref("refs/heads/main") == "main"
    assert output.short_ref("refs/tags/v1") == "tag v1"
    assert output.short_ref("refs/pull/7/head") == "refs/pull/7/head"
    assert output.short_sha("0123456789abcdef") == "0123456789"
    assert output.short_sha(None) == output.short_ref(None) == "-"


def test_a_table_in_a_pipe_has_every_character_of_every_cell(capsys):
    output.table(("one", "two"), [("a" * 300, "b"), ("c", "d\x1b")])
    assert capsys.readouterr().out.splitlines() == [
        f"{'ONE':<300}  TWO",
        f"{'a' * 300}  b",
        f"{'c':<300}  d\\x1b",
    ]


def test_a_table_on_a_terminal_folds_no_id_and_no_url(capsys, monkeypatch):
    """An id in two pieces cannot be copied; only words of the last column go to a line of their own."""
    monkeypatch.setattr(output.sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    name, url = "d_0pgcbn7iqhqsdi3e2np77ricpg", "http://127.0.0.1:8080/webhooks/this-checkout"
    output.table(("delivery", "why"), [(name, "the body is not JSON at all"), (name, url)])
    printed = capsys.readouterr().out
    assert printed.count(name) == 2
    assert url in printed
    output.table(("delivery", "why"), [(name, "the body is not JSON")])
    assert len(capsys.readouterr().out.splitlines()) > 2, "words that do not fit go to the next line"
