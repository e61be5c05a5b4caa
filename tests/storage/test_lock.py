"""The lock's file says who has the database, to whoever may not even try to take it."""

from __future__ import annotations

import os

from headgate.storage.lock import Lock, runs


def test_who_has_the_database_is_said_while_it_is_held_and_not_after(tmp_path):
    database = tmp_path / "headgate.db"
    assert runs(database) is None
    with Lock(database):
        assert runs(database) == os.getpid()
    assert runs(database) is None


def test_after_a_crash_nobody_has_it_though_the_file_says_so(tmp_path):
    gone = 2**22 + 1  # more than any kernel gives
    (tmp_path / "headgate.db.lock").write_text(f"running, pid {gone}\n")
    assert runs(tmp_path / "headgate.db") is None
