"""One process per database: a file lock that dies with its process; not SQLite's own locks, which allow many."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from headgate.storage.errors import StorageRefused

_RUNNING = b"running"
_STOPPED = b"stopped"
_LENGTH = 64


def runs(database: Path) -> int | None:
    """The pid that has the database, as its lock's file says, or `None`; asked without the lock, which others may want.

    A guess: after a crash the number may be another process's by now.
    """
    try:
        state, _, pid = database.with_name(database.name + ".lock").read_bytes().strip().partition(b", pid ")
        if state == _RUNNING:
            os.kill(int(pid), 0)  # nothing is sent: it only says whether there is such a process
            return int(pid)
    except PermissionError:
        return int(pid)
    except (OSError, ValueError):
        return None
    return None


class Lock:
    """Holds `<database>.lock`. The file says whether the last holder stopped in order: `after_crash`.

    A crash is remembered until somebody who looked for damage says so: `sound = True`.
    """

    def __init__(self, database: Path) -> None:
        """Takes nothing yet."""
        self._path = database.with_name(database.name + ".lock")
        self._database = database
        self._descriptor = -1
        self.after_crash = False
        self.sound = False

    def __enter__(self) -> Self:
        """Take it, or raise `StorageRefused` naming the process that has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, _LENGTH, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise StorageRefused(
                f"another process uses {self._database} ({holder}); stop it first, or give this one its own data folder"
            ) from error
        self._descriptor = descriptor
        self.after_crash = os.pread(descriptor, _LENGTH, 0).startswith(_RUNNING)
        self._say(_RUNNING + f", pid {os.getpid()}".encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back; the file stays, since deleting it would let two processes lock two files of one name."""
        if self.sound or not self.after_crash:
            self._say(_STOPPED)
        os.close(self._descriptor)

    def _say(self, text: bytes) -> None:
        # Overwritten, never shortened first: that needs no room on a disk that is full.
        os.pwrite(self._descriptor, text.ljust(_LENGTH - 1) + b"\n", 0)
