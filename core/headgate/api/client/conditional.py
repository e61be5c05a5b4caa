"""Answers kept with their ETag or date, so that the same question costs a 304; bounded, and never across credentials."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict

import msgspec

from headgate.api.client.answers import Answer
from headgate.api.client.authorization import Authorization

_LARGEST_PART = 8
"""An answer larger than this part of the whole room is not kept: it would drive out all others."""

_NOT_MODIFIED = 304
_OK = 200


class Kept:
    """The answers of one client, least recently used first out. RFC 9110 13.1, RFC 9111 4.3."""

    def __init__(self, *, entries: int, total: int) -> None:
        """`entries` and `total` bytes of bodies at most."""
        self._entries = entries
        self._total = total
        self._bytes = 0
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self._salt = secrets.token_bytes(16)

    def key(self, url: str, headers: dict[str, str], authorization: Authorization) -> bytes:
        """What an answer depends on: where, how it was asked for, and as whom. Nothing of a secret can be read off."""
        digest = hashlib.blake2b(key=self._salt)
        for name, value in (("", url), *sorted(headers.items())):
            digest.update(f"{name}\0{value}\0".encode())
        for name, secret in sorted(authorization.headers.items()):
            digest.update(f"{name}\0{secret.reveal()}\0".encode())
        return digest.digest()

    def find(self, key: bytes) -> Answer | None:
        """What is kept under `key`."""
        return self._answers.get(key)

    def settle(self, key: bytes, answer: Answer, kept: Answer | None) -> Answer:
        """What the answer means: `kept` for a 304, with its newer headers; else itself, kept if it may be."""
        if answer.status == _NOT_MODIFIED and kept is not None:
            if key in self._answers:
                self._answers.move_to_end(key)
            return msgspec.structs.replace(kept, headers={**kept.headers, **answer.headers})
        if answer.status == _OK:
            self._keep(key, answer)
        return answer

    def _keep(self, key: bytes, answer: Answer) -> None:
        self._drop(key)
        marked = "etag" in answer.headers or "last-modified" in answer.headers
        forbidden = "no-store" in answer.headers.get("cache-control", "").lower()
        if not marked or forbidden or len(answer.body) * _LARGEST_PART > self._total:
            return
        self._answers[key] = answer
        self._bytes += len(answer.body)
        while self._bytes > self._total or len(self._answers) > self._entries:
            self._drop(next(iter(self._answers)))

    def _drop(self, key: bytes) -> None:
        answer = self._answers.pop(key, None)
        if answer is not None:
            self._bytes -= len(answer.body)


def conditions(kept: Answer | None) -> dict[str, str]:
    """The headers that make the request conditional; empty when nothing is kept."""
    pairs = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
    return {header: kept.headers[name] for header, name in pairs if kept is not None and name in kept.headers}
