"""Secrets at rest: AES-256-GCM with a data key per secret, wrapped by a key-encryption key from a strict file.

The associated data binds a sealed text to what it belongs to: moved to another name, type or version it no
longer opens. Layout of a sealed text: `hg1.` + base64url(wrap nonce ‖ wrapped key ‖ nonce ‖ ciphertext).
"""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headgate.api.errors import CredentialError

_PREFIX = "hg1."
_NONCE = 12
_KEY = 32
_TAG = 16
_LONGEST_KEY_FILE = 1024


class SealingKey:
    """A key-encryption key. It never prints, and is only used to wrap data keys."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        """`key`: 32 random bytes."""
        self._aead = AESGCM(key)

    def seal(self, plaintext: str, *, bound_to: str) -> str:
        """A sealed text that opens only with the same `bound_to`."""
        data_key, nonce = AESGCM.generate_key(256), os.urandom(_NONCE)
        return self._wrap(
            data_key, nonce + AESGCM(data_key).encrypt(nonce, plaintext.encode(), bound_to.encode()), bound_to
        )

    def open(self, sealed: str, *, bound_to: str) -> str:
        """The plaintext; `CredentialError` when the key, the text or what it is bound to is another."""
        try:
            data_key, rest = self._unwrap(sealed, bound_to)
            return AESGCM(data_key).decrypt(rest[:_NONCE], rest[_NONCE:], bound_to.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise _closed(bound_to) from error

    def rewrap(self, sealed: str, *, old: SealingKey, bound_to: str) -> str:
        """The same sealed text under this key instead of `old`; the plaintext is neither seen nor sealed anew."""
        try:
            data_key, rest = old._unwrap(sealed, bound_to)
        except (InvalidTag, ValueError) as error:
            raise _closed(bound_to) from error
        return self._wrap(data_key, rest, bound_to)

    def _wrap(self, data_key: bytes, rest: bytes, bound_to: str) -> str:
        nonce = os.urandom(_NONCE)
        wrapped = self._aead.encrypt(nonce, data_key, bound_to.encode())
        return _PREFIX + base64.urlsafe_b64encode(nonce + wrapped + rest).decode()

    def _unwrap(self, sealed: str, bound_to: str) -> tuple[bytes, bytes]:
        if not sealed.startswith(_PREFIX):
            raise ValueError("another format")
        raw = base64.b64decode(sealed.removeprefix(_PREFIX).encode(), altchars=b"-_", validate=True)
        wrapped, rest = raw[_NONCE : _NONCE + _KEY + _TAG], raw[_NONCE + _KEY + _TAG :]
        return self._aead.decrypt(raw[:_NONCE], wrapped, bound_to.encode()), rest


def _closed(bound_to: str) -> CredentialError:
    return CredentialError(f"{bound_to} cannot be opened: another key file, or the stored text was changed")


def read_key_file(path: Path, *, create: bool = False) -> SealingKey:
    """The key in `path`: 32 bytes as 64 hex digits, readable by its owner only.

    With `create`, a missing file is made with a random key (mode 0600, never overwritten). Raises
    `CredentialError` when the file is missing, has another form, another owner or a wider mode.
    """
    try:
        if create and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_new(path, os.urandom(_KEY).hex() + "\n")
        # Without O_NONBLOCK a named pipe in its place would hold us here for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise CredentialError(f"the key file {path} cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CredentialError(f"the key file {path} is not a file")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise CredentialError(f"the key file {path} is open to others; run: chmod 600 {path}")
        if status.st_uid != os.geteuid():
            raise CredentialError(f"the key file {path} belongs to another user (id {status.st_uid})")
        text = os.read(descriptor, _LONGEST_KEY_FILE).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _KEY:
        raise CredentialError(f"the key file {path} must hold 64 hex digits, as `openssl rand -hex 32` prints them")
    return SealingKey(key)


def _write_new(path: Path, text: str) -> None:
    """Written whole under another name first: a crash must not leave half a key behind."""
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}")  # no process id: a container's is always the same
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another process was first, and its key is the one
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # else a crash could forget the key, and with it all that was sealed since
    finally:
        os.close(folder)
