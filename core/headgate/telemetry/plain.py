"""Text of a stranger, made safe for a terminal: what it would obey is shown instead; not what is secret in it.

Standard library only: the command line needs it before its first word.
"""

from __future__ import annotations

import re
from typing import Final

# All but tab and newline of C0, DEL and C1, and the marks that turn the direction of writing: what could move a
# cursor, retitle a window, or hide and reorder words. Some terminals obey C1 as one character, too.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """`text` with control characters as visible escapes."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def plain_json(text: str) -> str:
    r"""JSON that says the same without control characters: JSON itself lets `\u009b` and its like stand as they are."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


OURS: Final = "[headgate] "
"""How our own lines of a build's log start where it is shown as text."""

_UNSEEN: Final = re.compile(
    r"\x1b\[[0-9;:]*m|[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


def attributed(text: str, *, ours: bool) -> str:
    r"""A line of a build's log, so that no build can speak in our name.

    Ours start with `[headgate]`; a line of output that would look as if it did gets a backslash in front.
    """
    if ours:
        return OURS + text.removeprefix("headgate: ")
    if "]" in text and _UNSEEN.sub("", text).casefold().startswith(OURS.strip()):
        return "\\" + text
    return text
