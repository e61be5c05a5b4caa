"""The nearest right spelling of a word that is not known; not whether it is known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_CLOSE_ENOUGH = 0.6
_LISTED = 12


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be, `None` when none is near."""
    spelled = {_flat(right): right for right in known}
    found = difflib.get_close_matches(_flat(word), spelled, n=1, cutoff=_CLOSE_ENOUGH)
    return spelled[found[0]] if found else None


def suggestion(word: str, known: Sequence[str], *, noun: str = "") -> str | None:
    """A hint for a person: ``did you mean `depth`?``, else what there is, else `None`. `noun`: what they are, plural."""
    if near := nearest(word, known):
        return f"did you mean `{near}`?"
    if not known:
        return f"there are no {noun}" if noun else None
    return f"{noun or 'known'}: {listed(known)}"


def listed(words: Sequence[str]) -> str:
    """`a, b, c`, cut where it would not be read."""
    cut = "" if len(words) <= _LISTED else f", … ({len(words)} in all)"
    return ", ".join(words[:_LISTED]) + cut


def _flat(word: str) -> str:
    """Case, hyphens and underscores are what people mix up most."""
    return word.casefold().replace("-", "_")
