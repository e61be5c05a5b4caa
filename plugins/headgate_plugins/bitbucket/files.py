"""What stands for a file's content, and how several files are sent in one request; no calls."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

import msgspec


def blob_id(content: bytes) -> str:
    """Git's own id of a content, by which a later change of the file is guarded: Bitbucket tells none.

    https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    """
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file to write. `attributes`: `executable` or `link`, which it would lose if they were not said again."""

    path: str
    content: bytes
    attributes: tuple[str, ...] = ()


def form(fields: Sequence[tuple[str, str]], files: Sequence[Upload]) -> tuple[str, bytes]:
    """The content type and the body of a `multipart/form-data` request (RFC 7578).

    A file's field is named by its path after a slash, so that none is taken for one of `fields`:
    https://developer.atlassian.com/cloud/bitbucket/rest/api-group-source/
    """
    boundary = secrets.token_hex(24)
    parts = [
        f'Content-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}'.encode() for name, value in fields
    ]
    for file in files:
        marks = "".join(f'; x-attributes="{_quoted(mark)}"' for mark in file.attributes if mark in _KEPT)
        name = _quoted(file.path.rpartition("/")[2])
        head = f'Content-Disposition: form-data; name="/{_quoted(file.path)}"; filename="{name}"{marks}\r\n'
        parts.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + file.content)
    start = f"--{boundary}\r\n".encode()
    body = b"".join(start + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


_KEPT = frozenset({"executable", "link"})


def _quoted(text: str) -> str:
    """As browsers send names: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data"""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
