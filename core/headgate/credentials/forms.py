"""The forms in which a secret may turn up in text: as it is, and as common encoders write it; pure, and no matching.

What is not here is not masked: compressed, encrypted, reversed or hex-dumped secrets, and parts of one. See
docs/threat-model.md.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""Bytes a secret must have: masking each `a` would leave no log to read, and would hide nothing."""

SHORTEST_LINE = 6
"""Bytes a line of a longer secret must have to be masked alone."""

_WRAPS = (76, 64)
"""Where `base64` and `openssl base64` break their lines."""

_ARMOUR = "-----"
"""What the first and last line of a PEM file start with. They are no secret, and stand in many logs."""

# Between the quoting of `encodeURIComponent`, Python and old PHP lie these characters.
_URL_SAFE = ("", "/", "!'()*", "!'()*/", "/:")
_PLAIN_FOR_SHELL = re.compile(r"[^A-Za-z0-9_@%+=:,./-]")


def forms(secret: str) -> frozenset[bytes]:
    """All forms of `secret`, each at least `SHORTEST` bytes; none when it is too short or only white space."""
    text = secret.strip()
    if not text:
        return frozenset()
    if len(to_bytes(text)) < SHORTEST:
        text = secret  # "  ab  ": its blanks are part of what makes it long enough
    found = {*_texts(text), *_base64(to_bytes(text))}
    return (
        frozenset(form for form in found if len(form) >= SHORTEST) if len(to_bytes(text)) >= SHORTEST else frozenset()
    )


def to_bytes(text: str) -> bytes:
    """UTF-8; what was no UTF-8 in the environment or a file is again the bytes it was there."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _texts(text: str) -> Iterator[bytes]:
    yield to_bytes(text)
    lines = [line.strip() for line in text.splitlines()]
    if len(lines) > 1:
        yield to_bytes("\r\n".join(lines))  # as a terminal prints it
        yield from (line for line in map(to_bytes, lines) if _alone(line))
    yield from map(to_bytes, _json(text))
    yield from map(to_bytes, _shell(text))
    for encoded in _url(text):
        yield encoded.encode()
        yield re.sub(r"%..", lambda match: match[0].lower(), encoded).encode()


def _alone(line: bytes) -> bool:
    return len(line) >= SHORTEST_LINE and not line.startswith(_ARMOUR.encode())


def _json(text: str) -> Iterator[str]:
    """Inside the quotes of a JSON string: ASCII or not, and with the escapes of Go and of PHP."""
    for ascii_only in (True, False):
        escaped = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield escaped
        yield escaped.replace("/", "\\/")
        yield escaped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _shell(text: str) -> Iterator[str]:
    """Inside single quotes (as Python and as `set -x` end them), inside double quotes, and with backslashes."""
    yield text.replace("'", "'\"'\"'")
    yield text.replace("'", "'\\''")
    yield re.sub(r'([\\"$`])', r"\\\1", text)
    yield _PLAIN_FOR_SHELL.sub(lambda match: "\\" + match[0], text)


def _url(text: str) -> Iterator[str]:
    raw = to_bytes(text)
    for safe in _URL_SAFE:
        yield quote(raw, safe=safe)
        yield quote_plus(raw, safe=safe)
    yield quote_plus(raw, safe="*").replace("~", "%7E")  # as a browser sends a form


def _base64(raw: bytes) -> Iterator[bytes]:
    """What the secret fixes in a base64 text, wherever in the encoded bytes it stands.

    Three bytes become four characters, so there are three alignments. Characters that also depend on the
    neighbours (at most two at each end) vary and cannot be part of the form.
    """
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + raw)
        fixed = encoded[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6]
        yield fixed
        yield fixed.translate(bytes.maketrans(b"+/", b"-_"))
    whole = base64.b64encode(raw)
    for width in _WRAPS:
        if len(whole) > width:
            lines = [whole[at : at + width] for at in range(0, len(whole), width)]
            yield from (line for line in lines if _alone(line))
