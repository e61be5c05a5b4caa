from __future__ import annotations

from pathlib import Path

import pytest

from headgate.config.formats import Formats, shown
from headgate.config.nearest import listed, nearest, suggestion

FORMATS = Formats(folder=Path("/srv/conf"))


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400)])
def test_durations_are_seconds(text, seconds):
    assert FORMATS.fault("duration", text) is None
    found = FORMATS.convert("duration", text)
    assert (found, type(found)) == (seconds, float)


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "-5m", "5M", "1h30m", "1.5h", "٥m", "5m\n", "9" * 10 + "s"])
def test_other_texts_are_no_durations(text):
    assert FORMATS.fault("duration", text)


@pytest.mark.parametrize(
    ("text", "count"), [("10", 10), ("10B", 10), ("1KiB", 1024), ("25 MiB", 26214400), ("1GiB", 1 << 30)]
)
def test_sizes_are_bytes(text, count):
    assert FORMATS.fault("size", text) is None
    assert FORMATS.convert("size", text) == count


@pytest.mark.parametrize("text", ["25MB", "1K", "-1", "1.5GiB", ""])
def test_other_texts_are_no_sizes(text):
    assert FORMATS.fault("size", text)


def test_paths_count_from_the_folder_and_keep_links():
    assert FORMATS.convert("path", "a/../b") == "/srv/conf/b"
    assert FORMATS.convert("path", ".") == "/srv/conf"
    assert FORMATS.convert("path", "/etc/x") == "/etc/x"
    assert FORMATS.fault("path", "")


def test_any_store_may_be_named_when_none_are_known():
    assert FORMATS.fault("secret", "secret://any/name") is None
    assert FORMATS.fault("secret", "secret://any")


def test_formats_of_others_are_not_ours_to_judge():
    assert FORMATS.fault("uri", "not one") is None
    assert FORMATS.convert("uri", "x") == "x"


def test_texts_in_messages_are_cut_and_escaped():
    assert shown("a") == "`a`"
    assert shown("") == "an empty text"
    assert len(shown("x" * 500)) == 60
    assert shown("a\x1b[31m\n") == "`a\\x1b[31m\\n`"


def test_the_nearest_word_is_found_across_case_and_separators():
    known = ["max_running", "priority"]
    assert nearest("maxRunning", known) == "max_running"
    assert nearest("MAX-RUNNING", known) == "max_running"
    assert nearest("prioritty", known) == "priority"
    assert nearest("zzz", known) is None
    assert nearest("x", []) is None


def test_without_a_near_word_all_are_listed_up_to_a_length():
    assert suggestion("zz", ["a", "b"], noun="letters") == "letters: a, b"
    assert suggestion("zz", [], noun="letters") == "there are no letters"
    assert suggestion("zz", []) is None
    assert listed([str(number) for number in range(20)]).endswith("11, … (20 in all)")
