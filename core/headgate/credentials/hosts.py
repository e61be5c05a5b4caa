"""Whether a secret may travel to a host; not how it travels."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|[0-9a-f:]+(?:%[a-z0-9]+)?")
_RULE = re.compile(r"\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|[0-9a-f:]+")


def allows(rules: Sequence[str], host: str) -> bool:
    """Whether a credential bound to `rules` may travel to `host` (a name or an address, without port).

    A rule is a host's name, `*.example.org` (every name below it, at any depth, not itself), or `*`. Case and
    one dot at the end do not count. What is no host name is allowed nowhere, not even by `*`.
    """
    name = _plain(host)
    if not _HOST.fullmatch(name):
        return False
    return any(_fits(_plain(rule), name) for rule in rules)


def check_rule(rule: str) -> str:
    """The rule in its one spelling; `ValueError` when no host could ever fit it."""
    plain = _plain(rule)
    if not _RULE.fullmatch(plain):
        raise ValueError(f"{rule!r} is no host: write a name (git.example.org), *.example.org, or * for anywhere")
    return plain


def _plain(host: str) -> str:
    name = host.strip().lower().removeprefix("[").removesuffix("]")
    return name if name == "*." else name.removesuffix(".")  # a slip of the pen must not mean anywhere


def _fits(rule: str, name: str) -> bool:
    if rule == "*":
        return True
    if rule.startswith("*."):
        return len(rule) > len("*.") and name.endswith(rule[1:]) and len(name) > len(rule) - 1
    return rule == name
