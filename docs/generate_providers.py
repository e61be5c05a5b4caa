"""Writes docs/providers.md from the installed kinds; `--check` only says whether it is up to date."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from headgate.api import CAPABILITIES, ProviderKind
from headgate.plugins import load_plugins

PAGE = Path(__file__).with_name("providers.md")

HEAD = """# Providers

<!-- Written by docs/generate_providers.py from the kinds themselves; change those, not this page. -->

A connection's `provider:` is one of these. What each can do is what its code implements; `headgate connections` and
`GET /api/v1/providers` say the same of a running server, with whatever other plugins are installed.

A `base_url` is `https://`. `http://` is taken of this machine only (`localhost`, `127.0.0.1`, `[::1]`), because tokens
travel there; `git` and `fossil` take it of any host.
"""


def main(arguments: list[str]) -> int:
    """Write the page, or compare with `--check`: 1 when it is out of date."""
    text = page()
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is out of date; run: python docs/generate_providers.py", file=sys.stderr)
    return 1


def page() -> str:
    """The whole page."""
    kinds = [kind for _, kind in sorted(load_plugins().kinds.providers.items())]
    return "\n".join([HEAD, *_kinds(kinds), "", *_table(kinds), "", *_features(), ""])


def _kinds(kinds: list[ProviderKind]) -> Iterator[str]:
    yield "| provider | | credentials | status |"
    yield "|---|---|---|---|"
    for kind in kinds:
        own = PAGE.with_name(f"providers-{kind.provides.__module__.split('.')[1].replace('_', '-')}.md")
        name = f"[`{kind.name}`]({own.name})" if own.exists() else f"`{kind.name}`"
        credentials = ", ".join(f"`{one}`" for one in kind.credential_types) or "none"
        yield f"| {name} | {kind.summary} | {credentials} | {kind.status} |"


def _table(kinds: list[ProviderKind]) -> Iterator[str]:
    yield "## Who can do what"
    yield ""
    yield "| feature | " + " | ".join(f"`{kind.name}`" for kind in kinds) + " |"
    yield "|---|" + ":-:|" * len(kinds)
    yield "| webhooks | " + " | ".join("✓" for _ in kinds) + " |"
    for word, protocol in CAPABILITIES.items():
        marks = ["✓" if issubclass(kind.provides, protocol) else "" for kind in kinds]
        yield f"| `{word}` | " + " | ".join(marks) + " |"


def _features() -> Iterator[str]:
    yield "## The features"
    yield ""
    yield "| feature | a provider that has it | methods |"
    yield "|---|---|---|"
    for word, protocol in CAPABILITIES.items():
        first = (inspect.getdoc(protocol) or "").splitlines()[0]
        methods = [name for name, one in vars(protocol).items() if not name.startswith("_") and inspect.isfunction(one)]
        yield f"| `{word}` | {first[0].lower()}{first[1:].rstrip('.')} | {', '.join(f'`{one}`' for one in methods)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
