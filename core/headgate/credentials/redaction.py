"""Masks secrets in text and in streams of bytes, in linear time; it does not know where secrets come from.

How: every form of every secret is a literal. One RE2 automaton finds places where any form's first bytes stand
(hundreds of MB/s, and few places in honest text); there a binary search in the sorted forms finds the longest
that fits. In a stream only a tail that may still become a secret is held back, so a log stays live.
"""

from __future__ import annotations

import operator
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain, takewhile

import re2

from headgate.credentials.forms import forms

MASK = b"***"

_HEAD = 8
"""Bytes of a form that the automaton looks for: short enough to be fast, long enough to be rare."""


class Redactor:
    """The secrets revealed so far. Adding and masking may happen on different threads."""

    def __init__(self, *, within: Redactor | None = None) -> None:
        """`within`: a wider redactor whose secrets, also future ones, are masked too."""
        self._within = within
        self._adding = threading.Lock()
        self._added: set[str] = set()
        self._forms: frozenset[bytes] = frozenset()
        # Patterns and what they were made of, replaced as one: threads read it without the lock.
        self._made: tuple[tuple[frozenset[bytes], ...], _Patterns] = ((), _Patterns(()))

    def add(self, secret: str) -> bool:
        """From now on mask `secret` and its forms; false when it is too short (under 4 bytes) or only blanks."""
        if secret in self._added:
            return True
        found = forms(secret)
        with self._adding:
            if not self._masks(found):
                self._forms |= found
            if found:
                self._added.add(secret)
        return bool(found)

    def scoped(self, secrets: Iterable[str] = ()) -> Redactor:
        """One for a single build: masks `secrets`, and all that this one masks, and is forgotten with the build."""
        narrower = Redactor(within=self)
        for secret in secrets:
            narrower.add(secret)
        return narrower

    def redact(self, text: str) -> str:
        """`text` with `***` for every secret; the very same string when it holds none."""
        handler = "surrogateescape"
        try:
            raw = text.encode("utf-8", handler)
        except UnicodeEncodeError:
            handler = "surrogatepass"
            raw = text.encode("utf-8", handler)
        masked = StreamRedactor(self, raw).flush()
        if masked == raw:
            return text
        try:
            return masked.decode("utf-8", handler)
        except UnicodeDecodeError:
            return masked.decode("utf-8", "replace")

    def stream(self) -> StreamRedactor:
        """A masker for bytes that come in pieces; one for each stream."""
        return StreamRedactor(self)

    def patterns(self) -> _Patterns:
        """What to look for now; made anew only after a secret was added."""
        if self._within is not None and not self._forms:
            return self._within.patterns()  # most builds bring nothing of their own: one automaton serves them all
        sources, (made_of, patterns) = tuple(self._sources()), self._made
        if len(sources) != len(made_of) or not all(map(operator.is_, sources, made_of)):
            patterns = _Patterns(sorted(frozenset().union(*sources)))
            self._made = sources, patterns
        return patterns

    def _masks(self, found: frozenset[bytes]) -> bool:
        return found <= self._forms or (self._within is not None and self._within._masks(found))  # noqa: SLF001 - another of our own kind

    def _sources(self) -> Iterator[frozenset[bytes]]:
        yield self._forms
        if self._within is not None:
            yield from self._within._sources()  # noqa: SLF001 - another of our own kind


class StreamRedactor:
    """Masks one stream. What comes out does not depend on where the pieces were cut."""

    __slots__ = ("_held", "_masked", "_redactor")

    def __init__(self, redactor: Redactor, held: bytes = b"") -> None:
        """`redactor`: whose secrets to mask, including those it learns later. `held`: a first piece."""
        self._redactor = redactor
        self._held = held
        self._masked = 0  # of the held bytes, those that a mask already written stands for

    def feed(self, piece: bytes) -> bytes:
        """What may be shown now. Held back: a tail that may be the beginning of a secret."""
        patterns = self._redactor.patterns()
        buffer = self._held + piece
        return self._show(buffer, patterns, keep=patterns.unfinished(buffer))

    def flush(self) -> bytes:
        """The rest, at the end of the stream."""
        return self._show(self._held, self._redactor.patterns(), keep=0)

    def _show(self, buffer: bytes, patterns: _Patterns, *, keep: int) -> bytes:
        shown: list[bytes] = []
        done = self._masked
        cut = max(len(buffer) - keep, 0)
        for start, end in patterns.find(buffer):
            if start >= cut:
                break  # it will be found again, perhaps within a longer one that begins before it
            if start >= done:
                shown += (buffer[done:start], MASK)
            done = max(done, end)
        if done < cut:
            shown.append(buffer[done:cut])
            done = cut
        self._held, self._masked = buffer[cut:], done - cut
        return b"".join(shown)


class _Patterns:
    """A fixed, sorted set of literals and how to find them. Never changes, so any thread may use it."""

    __slots__ = ("_heads", "_literals", "_longest", "_shorter")

    def __init__(self, literals: Iterable[bytes]) -> None:
        self._literals = tuple(literals)
        self._longest = max(map(len, self._literals), default=0)
        self._shorter = _prefix_links(self._literals)
        heads = sorted({literal[:_HEAD] for literal in self._literals})
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.max_mem = 256 << 20
        self._heads = re2.compile(b"|".join(map(_escape, heads)), options) if heads else None

    def find(self, buffer: bytes) -> Iterator[tuple[int, int]]:
        """Where literals stand, by start: of those with one start only the longest. They may overlap."""
        for at in self._candidates(buffer, 0):
            if length := self._longest_at(buffer, at):
                yield at, at + length

    def unfinished(self, buffer: bytes) -> int:
        """How many bytes at the end of `buffer` are the beginning, and not all, of a literal; the most that are."""
        if self._heads is None:
            return 0
        first = max(len(buffer) - self._longest + 1, 0)
        short = max(len(buffer) - _HEAD + 1, first)  # from here on not even a head fits
        long = takewhile(lambda at: at < short, self._candidates(buffer, first))
        for at in chain(long, range(short, len(buffer))):  # earliest first: the most that may still become one
            tail = buffer[at:]
            place = bisect_right(self._literals, tail)  # literals that start with the tail come right behind it
            if place < len(self._literals) and self._literals[place].startswith(tail):
                return len(tail)
        return 0

    def _candidates(self, buffer: bytes, at: int) -> Iterator[int]:
        if self._heads is None:
            return
        while match := self._heads.search(buffer, at):
            yield match.start()
            at = match.start() + 1

    def _longest_at(self, buffer: bytes, at: int) -> int:
        text = buffer[at : at + self._longest]
        place = bisect_right(self._literals, text) - 1
        # Of all literals that `text` starts with, the longest is the one found or among its own beginnings.
        while place >= 0:
            if text.startswith(self._literals[place]):
                return len(self._literals[place])
            place = self._shorter[place]
        return 0


def _prefix_links(literals: tuple[bytes, ...]) -> tuple[int, ...]:
    """For each of the sorted literals the place of the longest other one that it starts with; -1: none."""
    links: list[int] = []
    for literal in literals:
        place = len(links) - 1
        while place >= 0 and not literal.startswith(literals[place]):
            place = links[place]
        links.append(place)
    return tuple(links)


def _escape(literal: bytes) -> bytes:
    return "".join(f"\\x{byte:02x}" for byte in literal).encode()
