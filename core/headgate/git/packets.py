"""The few words of Git's protocol that a question for refs needs, as functions of bytes; not a connection.

Sources: https://git-scm.com/docs/protocol-common (pkt-line), https://git-scm.com/docs/protocol-v2 (ls-refs),
https://git-scm.com/docs/http-protocol (the advertisement over HTTP).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

FLUSH: Final = b"0000"
DELIMITER: Final = b"0001"
_HEADER = 4
_HEX = re.compile(rb"[0-9a-fA-F]{4}")
_AGENT = b"agent=headgate"
_TAGS = "refs/tags/"

PEELED: Final = b"^{}"
"""What stands behind a tag's name in the line that says what it leads to, before version 2."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One ref as a server lists it. `target`: the ref that a symbolic one (`HEAD`) points to.

    `peeled`: what an annotated tag leads to.
    """

    name: bytes
    sha: str
    target: bytes | None = None
    peeled: str | None = None


class Advertisement(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says first: its protocol version and capabilities, and before version 2 all its refs."""

    version: int
    capabilities: dict[bytes, bytes]
    refs: tuple[Listed, ...] = ()


def packet(line: bytes) -> bytes:
    """One pkt-line."""
    return b"%04x%s" % (len(line) + _HEADER, line)


def packets(data: bytes) -> Iterator[bytes | None]:
    """The lines in `data` without their newline; `None` for flush, delimiter and end. `ValueError` when malformed.

    A line `ERR …` is the server's complaint, and raised as `ValueError` too.
    """
    position = 0
    while position < len(data):
        header = data[position : position + _HEADER]
        if not _HEX.fullmatch(header):
            raise ValueError("a line has no length")
        size = int(header, 16)
        if size < _HEADER:
            position += _HEADER
            yield None
            continue
        line = data[position + _HEADER : position + size]
        if len(line) != size - _HEADER:
            raise ValueError("the answer ends in the middle of a line")
        if line.startswith(b"ERR "):
            raise ValueError(f"the server says: {line[4:204].decode(errors='replace').strip()}")
        position += size
        yield line.removesuffix(b"\n")


def read_advertisement(data: bytes) -> Advertisement:
    """The body of `GET …/info/refs?service=git-upload-pack`, in any protocol version. `ValueError` when it is none."""
    greeting = next(packets(data), None)
    announced = greeting is not None and greeting.startswith(b"# service=")
    lines = _complete(data, after=2 if announced else 0)
    if not lines and announced:  # how an empty repository answers before version 2
        return Advertisement(version=0, capabilities={})
    if not lines:
        raise ValueError("the answer is empty")
    if lines and lines[0] == b"version 2":
        return Advertisement(version=2, capabilities=dict(_split(line) for line in lines[1:]))
    if lines and lines[0] == b"version 1":
        del lines[0]
    first, _, words = lines[0].partition(b"\0")
    capabilities = dict(_split(word) for word in words.split(b" "))
    targets = dict(
        word.removeprefix(b"symref=").split(b":", 1) for word in words.split(b" ") if word.startswith(b"symref=")
    )
    named = [line.partition(b" ") for line in (first, *lines[1:]) if not line.startswith(b"shallow")]
    peeled = {name.removesuffix(PEELED): sha.decode() for sha, _, name in named if name.endswith(PEELED)}
    refs = tuple(
        Listed(name=name, sha=sha.decode(), target=targets.get(name), peeled=peeled.get(name))
        for sha, _, name in named
        if not name.endswith(PEELED)
    )
    return Advertisement(version=0, capabilities=capabilities, refs=refs)


def ls_refs(prefixes: Sequence[str], advertisement: Advertisement) -> bytes:
    """The question: refs that start with one of `prefixes`, where symbolic ones point, and what tags lead to."""
    lines = [packet(b"command=ls-refs\n")]
    if b"agent" in advertisement.capabilities:
        lines.append(packet(_AGENT))
    if algorithm := advertisement.capabilities.get(b"object-format"):
        lines.append(packet(b"object-format=" + algorithm))
    lines += [DELIMITER, packet(b"symrefs\n")]
    if any(_TAGS.startswith(prefix) or prefix.startswith(_TAGS) for prefix in prefixes):
        lines.append(packet(b"peel\n"))
    lines += [packet(b"ref-prefix " + prefix.encode() + b"\n") for prefix in prefixes]
    return b"".join((*lines, FLUSH))


def read_ls_refs(data: bytes) -> tuple[Listed, ...]:
    """The answer to `ls_refs`. `ValueError` when it is none."""
    refs = []
    for line in _complete(data):
        sha, name, *attributes = line.split(b" ")
        target = next((word[14:] for word in attributes if word.startswith(b"symref-target:")), None)
        peeled = next((word[7:].decode() for word in attributes if word.startswith(b"peeled:")), None)
        refs.append(Listed(name=name, sha=sha.decode(), target=target, peeled=peeled))
    return tuple(refs)


def _complete(data: bytes, *, after: int = 0) -> list[bytes]:
    """All lines but the first `after`; what does not end with a flush was cut off, and half a list looks like deleted branches."""
    lines = list(packets(data))[after:]
    if not lines or lines[-1] is not None:
        raise ValueError("the answer is cut off")
    return [line for line in lines if line is not None]


def _split(word: bytes) -> tuple[bytes, bytes]:
    name, _, value = word.partition(b"=")
    return name, value
