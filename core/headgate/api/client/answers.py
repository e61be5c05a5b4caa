"""What a provider answered, and what its errors say in words; not what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec

from headgate.api.errors import ProviderError, Unavailable

T = TypeVar("T")

Headers: TypeAlias = Mapping[str, str]
"""Names in lower case; of several with one name the values are joined by a comma and a blank."""

LONGEST_SAYING = 200
"""Characters of a provider's own words that are repeated in an error."""

_QUOTED = re.compile(r"'[^']*'")
_WORDS = ("message", "error_description", "error", "errors", "detail", "title")
"""Where providers put words, the most telling first."""

_DEEPEST = 4
_SERVER_ERRORS = 500


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer. `what` is what was asked (`GET /user`), for messages."""

    what: str
    status: int
    headers: dict[str, str]
    body: bytes

    def read(self, shape: type[T]) -> T:
        """The JSON body as `shape`. Raises `ProviderError` naming the place that does not fit, not what stands there.

        A body that ends in the middle raises `Unavailable`.
        """
        try:
            return msgspec.json.decode(self.body, type=shape)
        except msgspec.ValidationError as error:
            said = _QUOTED.sub("…", str(error))  # the offending value is the provider's, and may be anything
            raise ProviderError(f"the answer to {self.what} is not of the form expected: {said}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if "truncated" in str(error):
                raise Unavailable(f"the answer to {self.what} ends in the middle") from None
            raise ProviderError(f"the answer to {self.what} is not JSON") from None

    def plain(self) -> Any:
        """The JSON body as dicts, lists and scalars; `None` when it is none (an error page of something between)."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


def said(answer: Answer) -> str:
    """The provider's own words about an error, in one line and shortened; empty when it has none.

    Reads `message`, `error_description`, `error`, `errors[]`, also nested in one another, as the providers do it; and
    plain text, unless it is the host or something before it that fails, and may say more than it should.
    """
    words = list(dict.fromkeys(_sayings(answer.plain(), 0)))
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not words and kind == "text/plain" and answer.status < _SERVER_ERRORS:
        words = [answer.body[: 4 * LONGEST_SAYING].decode(errors="replace")]
    line = " ".join("; ".join(words).split())
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return line if len(line) <= LONGEST_SAYING else line[: LONGEST_SAYING - 1] + "…"


def _sayings(value: Any, depth: int) -> Iterator[str]:
    """From what stands at a telling key; anything else of the body is not repeated."""
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        if depth:
            yield value
    elif isinstance(value, list):
        for one in value[:5]:
            yield from _sayings(one, max(depth, 1))
    elif isinstance(value, dict):
        telling = [value[key] for key in _WORDS if value.get(key)]
        if not telling and depth:  # GitLab: {"message": {"name": ["has already been taken"]}}; GitHub: {"field": …}
            yield " ".join(_flat(key, one) for key, one in list(value.items())[:5])
        for one in telling:
            yield from _sayings(one, depth + 1)


def _flat(key: Any, value: Any) -> str:
    words = value if isinstance(value, list) else [value]
    return f"{key}: {', '.join(str(word)[:80] for word in words[:5])}"
