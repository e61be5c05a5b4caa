"""The file of sealed credentials: its format, who may open it, how it changes whole or not at all; not who asks.

Two files cannot change in one step, so a new key waits as `<key file>.next` until every secret is under it.
Readers try both, and a rotation cut short at any point loses nothing and goes on when it is started again.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from headgate import api

_LOCK_PATIENCE = 10.0
_LOCK_PAUSE = 0.02

Stamp = tuple[int, int, int] | None
"""What changes whenever a file does: inode, size, time of change in ns; `None`: there is no file."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One credential at rest. Everything but `sealed` is readable, and bound to it by the seal."""

    type: api.CredentialType
    hosts: tuple[str, ...]
    version: int
    sealed: str


class Contents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of the file."""

    format: Literal[1] = 1
    credentials: dict[str, Entry] = {}


class Vault(msgspec.Struct, frozen=True, kw_only=True):
    """The file and the keys as they were at one moment; `keys`: the one in force, then a waiting one."""

    store: str
    contents: Contents
    keys: tuple[api.SealingKey, ...]
    stamps: tuple[Stamp, ...]

    def open(self, name: str) -> dict[str, str]:
        """The fields of the credential `name`; `CredentialError` when no key opens it as what it says it is."""
        entry = self.contents.credentials[name]
        place = binding(self.store, name, entry.type, entry.version, entry.hosts)
        for key in self.keys:
            try:
                plain = key.open(entry.sealed, bound_to=place)
            except api.CredentialError:
                continue
            return msgspec.json.decode(plain, type=dict[str, str])
        raise api.CredentialError(
            f"{self.store}/{name} cannot be opened: another key file, or its entry was changed or moved"
        )

    def opens(self, name: str) -> bool:
        """Whether `open` would succeed."""
        try:
            self.open(name)
        except api.CredentialError:
            return False
        return True


def binding(store: str, name: str, kind: str, version: int, hosts: tuple[str, ...]) -> str:
    """What a seal is bound to: a sealed text under another name, type, version or with other hosts does not open."""
    return json.dumps(["headgate credential", store, name, kind, version, list(hosts)], separators=(",", ":"))


def load(store: str, file: Path, key_file: Path) -> Vault:
    """Read both files; a missing one is empty. `CredentialError`: not readable, not ours alone, or not our format."""
    stamp, contents = _read(file)
    key_files = (key_file, waiting(key_file))
    # Stamps are taken before the keys are read: a change in between is noticed the next time.
    stamps = (stamp, *map(stamp_of, key_files))
    keys: list[api.SealingKey] = []
    for path in key_files:
        try:
            keys.append(api.read_key_file(path))
        except api.CredentialError:
            if stamp_of(path) is not None:
                raise  # it is there and not usable; one that is missing, or was renamed just now, is no fault
    return Vault(store=store, contents=contents, keys=tuple(keys), stamps=stamps)


def stamps_of(file: Path, key_file: Path) -> tuple[Stamp, ...]:
    """What `Vault.stamps` would be now; a few microseconds."""
    return stamp_of(file), stamp_of(key_file), stamp_of(waiting(key_file))


def stamp_of(path: Path) -> Stamp:
    """The stamp of one file; a file that may not even be looked at counts as there, and fails when it is read."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError:
        return (0, 0, 0)
    return status.st_ino, status.st_size, status.st_mtime_ns


def waiting(key_file: Path) -> Path:
    """Where a new key waits during a rotation."""
    return key_file.with_name(f"{key_file.name}.next")


def write(file: Path, contents: Contents) -> None:
    """Replace the file whole and durably, under the lock; a crash leaves the old one or the new one."""
    draft = file.with_name(f".{file.name}.draft")  # one name: what a crash left is written over
    text = msgspec.json.format(msgspec.json.encode(contents, order="sorted"), indent=2) + b"\n"
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as target:
            target.write(text)
            target.flush()
            os.fsync(target.fileno())
        replace(draft, file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def replace(source: Path, target: Path) -> None:
    """Rename, and make sure that a crash does not undo it."""
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """What the disk refuses while `file` changes, as a `CredentialError`; the file is then as it was."""
    try:
        yield
    except OSError as error:
        raise api.CredentialError(f"{file} cannot be written: {error.strerror or error}") from None


@contextmanager
def locked(file: Path, *, patience: float = _LOCK_PATIENCE) -> Iterator[None]:
    """Keep other writers (the server, a command, another thread) out; the lock dies with its holder.

    `CredentialError` after `patience` seconds. The lock is a file of its own, as the other is replaced.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file.with_name(f".{file.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise api.CredentialError(f"another process has been changing {file} for too long") from None
                time.sleep(_LOCK_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _read(file: Path) -> tuple[Stamp, Contents]:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None, Contents()
    except OSError as error:
        raise api.CredentialError(f"the credentials in {file} cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise api.CredentialError(f"{file} is not a file")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise api.CredentialError(f"{file} is open to others; run: chmod 600 {file}")
        if status.st_uid != os.geteuid():
            raise api.CredentialError(f"{file} belongs to another user (id {status.st_uid})")
        with os.fdopen(descriptor, "rb", closefd=False) as source:
            text = source.read()
    finally:
        os.close(descriptor)
    try:
        contents = msgspec.json.decode(text, type=Contents)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise api.CredentialError(f"{file} is no file of sealed credentials: {error}") from None
    return (status.st_ino, status.st_size, status.st_mtime_ns), contents
