"""The formats a schema may ask of a text: durations, sizes, paths and secrets; not the types around them."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.api import REFERENCE
from headgate.config.nearest import suggestion

DURATION = re.compile(r"(?P<count>[0-9]{1,9})(?P<unit>[smhd])")
SIZE = re.compile(r"(?P<count>[0-9]{1,15}) ?(?P<unit>B|KiB|MiB|GiB)?")

_SECONDS: Mapping[str, float] = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Mapping[str, int] = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a text, and what to write instead."""

    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Formats:
    """The formats as they mean something here.

    `folder`: what relative paths are relative to. `stores`: the credential stores that may be named, each with
    the reason why it cannot be used, or with an empty text; `None`: any may be named.
    """

    folder: Path
    stores: Mapping[str, str] | None = None

    def fault(self, name: object, text: str) -> Fault | None:  # noqa: PLR0911 - one for each thing to say
        """What is wrong with `text` as format `name`; `None`: nothing, or the format is not one of ours."""
        if name == "duration":
            if DURATION.fullmatch(text):
                return None
            hint = f"did you mean `{text}s`?" if text.isascii() and text.isdigit() else None
            return Fault(f"expected a duration such as 30s, 5m, 2h or 1d, found {shown(text)}", hint)
        if name == "size":
            if SIZE.fullmatch(text):
                return None
            return Fault(f"expected a size such as 512KiB, 25MiB or 10GiB, or bytes, found {shown(text)}")
        if name == "path":
            return None if text and "\0" not in text else Fault("expected a path, found an empty text")
        if name == "secret":
            return self._secret_fault(text)
        if name == "network" or (name == "sender" and text != "provider"):
            return _network_fault(text, or_provider=name == "sender")
        return None

    def convert(self, name: object, text: str) -> Any:
        """What a text of format `name` becomes: seconds (float), bytes (int), an absolute path (text) or itself."""
        if name == "duration" and (found := DURATION.fullmatch(text)):
            return int(found["count"]) * _SECONDS[found["unit"]]
        if name == "size" and (found := SIZE.fullmatch(text)):
            return int(found["count"]) * _BYTES[found["unit"] or "B"]
        if name == "path":
            return os.path.abspath(self.folder / Path(text))  # noqa: PTH100 - resolve() would follow links, which are the admin's choice
        return text

    def _secret_fault(self, text: str) -> Fault | None:
        found = REFERENCE.fullmatch(text)
        if found is None:
            return Fault(
                "expected a secret by reference: secret://store/name",
                "a secret itself must not stand here; store it with `headgate credentials set`",
            )
        store = found["store"]
        if self.stores is None:
            return None
        if store not in self.stores:
            return Fault(
                f"there is no credential store `{store}`",
                suggestion(store, sorted(self.stores), noun="configured credential stores"),
            )
        reason = self.stores[store]
        return Fault(f"the credential store `{store}` cannot be used: {reason}") if reason else None


def _network_fault(text: str, *, or_provider: bool) -> Fault | None:
    wanted = "a network such as 192.0.2.0/24 or 2001:db8::/32, or one address" + (", or `provider`" * or_provider)
    try:
        ipaddress.ip_network(text)
    except ValueError:
        try:
            whole = ipaddress.ip_network(text, strict=False)
        except ValueError:
            return Fault(f"expected {wanted}, found {shown(text)}")
        return Fault(f"{shown(text)} is an address within a network", f"did you mean `{whole}`?")
    return None


CONVERTED = frozenset({"duration", "size", "path"})
"""The formats whose texts become something else."""

PATTERNS: Mapping[str, str] = {"duration": f"^{DURATION.pattern}$", "size": f"^{SIZE.pattern}$"}
"""What an editor, which does not know our formats, can check instead."""


def shown(text: str) -> str:
    """A text in a message, cut where it would not be read; control characters are escaped."""
    cut = text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004 - a line's worth
    return (
        "an empty text" if not text else f"`{cut.encode('unicode_escape').decode() if not cut.isprintable() else cut}`"
    )
