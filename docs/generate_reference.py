"""Writes docs/reference/*.md from installed plugins' schemas and the table of a build's variables; `--check` only compares."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headgate.builds import environment
from headgate.config.kinds import KnownKinds
from headgate.config.nodes import KINDS
from headgate.config.schema import host_schema, job_file_schema
from headgate.plugins import load_plugins

FOLDER = Path(__file__).with_name("reference")

JOB_EXAMPLE = """\
jobs:
  web-tests:
    description: Unit tests of the web shop
    source:
      connection: acme-github
      repository: acme/web
      checkout: {depth: 50}
    triggers:
      push: {branches: [main, "release/**"], ignore_paths: ["docs/**"]}
      change_request: {targets: [main]}
    conditions:
      - message: {not_matching: "\\\\[skip ci\\\\]"}
    parameters:
      TARGET: {type: choice, choices: [staging, production], default: staging}
    queue: {priority: 60, max_running: 2}
    run:
      timeout: 30m
      credentials: {DEPLOY_KEY: secret://encrypted/deploy-key}
      steps:
        - name: unit tests
          run: make test
        - name: clean up
          run: make clean
          always: true
    notify:
      - commit_status: {}
"""

JOB_HEAD = f"""\
# Job files

<!-- Written by docs/generate_reference.py from the schemas; change those, not this page. -->

A job file says which change of which repository is built how. The configuration's `jobs:` names the files and folders;
they are read again when they change. `headgate check` shows every mistake with its place, and
`headgate schema job` prints the JSON Schema for your editor.

```yaml
{JOB_EXAMPLE}```

- Files are YAML 1.2: `on`, `no`, `22:22` and `1.10` stay what you wrote. Where a text is wanted, a number or `true` is
  taken as written. Aliases, anchors, merge keys, tags and keys written twice are refused.
- Unknown keys are refused; nothing you write is without effect.
- Durations are a whole number and a unit: `30s`, `5m`, `2h`, `1d`. Secrets are `secret://store/name`.
- Patterns of branches, tags and paths: `*` and `?` stop at a slash, `**` does not, `[abc]` is a set, `{{a,b}}` an
  alternative, a leading `!` takes back what earlier patterns let in. Expressions for text are RE2.
- Nothing is filled in: `${{…}}` works in a step's `run`, where the shell sees it, and is refused elsewhere.
  What the shell finds: [variables of a build](variables.md).
"""

HOST_HEAD = """\
# Configuration

<!-- Written by docs/generate_reference.py from the schemas; change those, not this page. -->

One YAML file: `config.yaml`, or what `--config` or `HEADGATE_CONFIG` names. A running server takes over what changes in
it, but for `data`, `database`, `server`, `plugins`, `git`, `polling`, `worker` and `logs`: those need a restart.
`config.example.yaml` is a commented one to start from. `headgate check` shows every mistake with its place, and
`headgate schema config` prints the JSON Schema for your editor.

- Relative paths count from the file. Durations are `30s`, `5m`, `2h`, `1d`; sizes `512KiB`, `25MiB`, `10GiB` or bytes.
- A secret never stands in the file: `secret://store/name` names one in a store. `${…}` is refused.
- A block whose plugin is broken or denied is left out and shown as a problem; the rest works.
"""


VARIABLES = """\
# Variables of a build

<!-- Written by docs/generate_reference.py from builds/environment.py; change that, not this page. -->

What every step finds in its environment, beside what its job gives it:

{table}

A variable that does not apply is not set, rather than empty: test for `${{TAG_NAME:-}}` under `set -u`. `BRANCH_NAME` of a
change request is `PR-` and its number, not the source branch: a fork's `main` must not pass for yours where a script asks
for the branch before it deploys. `BUILD_TRIGGER` is the trigger that matched (`push`, `poll`, `manual` …), `BUILD_URL` the
build in the [API](../http.md). Commit messages and authors are what strangers wrote: quote them.

| also set | from |
|---|---|
| each parameter | the job's [`parameters`](job-file.md), under its name |
| each credential | `run.credentials`, under its name; of an `ssh_key` the path of a file (with `NAME_KNOWN_HOSTS`), of a `user_password` the password (with `NAME_USERNAME`) |
| `run.environment` | the job, as it is written |
| `PATH`, `LANG`, `LC_…`, `TZ` | the server's environment; nothing else of it gets here |
| `HOME`, `TMPDIR` | the build's own folders |

Where two of them have one name, ours win over credentials, those over `run.environment`, that over the server's, and that
over parameters.
"""


def main(arguments: list[str]) -> int:
    """Write the pages, or compare with `--check`: 1 when one is out of date."""
    kinds = load_plugins(allow=["headgate"]).kinds  # a stranger's plugin may be installed here, too
    pages = {
        "job-file.md": job_file_page(kinds),
        "configuration.md": configuration_page(kinds),
        "variables.md": variables_page(),
    }
    if "--check" not in arguments:
        FOLDER.mkdir(exist_ok=True)
        for name, text in pages.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        return 0
    stale = [name for name, text in pages.items() if not _is(FOLDER / name, text)]
    for name in stale:
        print(f"{FOLDER / name} is out of date; run: python docs/generate_reference.py", file=sys.stderr)
    return 1 if stale else 0


def _is(page: Path, text: str) -> bool:
    return page.exists() and page.read_text(encoding="utf-8") == text


def job_file_page(kinds: KnownKinds) -> str:
    """The reference of job files."""
    job = job_file_schema(kinds)["properties"]["jobs"]["additionalProperties"]
    return "\n".join([JOB_HEAD, *_block(job, "A job", "", depth=2)])


def configuration_page(kinds: KnownKinds) -> str:
    """The reference of `config.yaml`."""
    schema = host_schema(kinds)
    return "\n".join([HOST_HEAD, *_block({**schema, "description": ""}, "The file", "", depth=2)])


def variables_page() -> str:
    """The table stands where the variables are made; a test compares it with them."""
    table = [line for line in (environment.__doc__ or "").splitlines() if line.startswith("|")]
    return VARIABLES.format(table="\n".join(table))


def _block(node: Mapping[str, Any], title: str, path: str, *, depth: int) -> Iterator[str]:
    """A mapping with known keys: heading, table, and the mappings within it."""
    yield f"{'#' * min(depth, 5)} {title}\n"
    if about := node.get("description"):
        yield f"{_sentence(about)}\n"
    if node.get("properties"):
        yield "| key | value | default | |\n|---|---|---|---|"
        required = set(node.get("required", ()))
        for name, member in node["properties"].items():
            yield f"| `{name}` | {_type(member)} | {_default(name, member, required)} | {_cell(member)} |"
        yield ""
    yield from _rules(node)
    for name, member in node.get("properties", {}).items():
        yield from _below(member, f"{path}.{name}" if path else name, depth=depth)


def _below(node: Any, path: str, *, depth: int) -> Iterator[str]:
    """What deserves a section of its own: a mapping, or what a list or a mapping by free names holds."""
    if not isinstance(node, Mapping):
        return
    if KINDS in node and "properties" in node:
        yield from _kinds(node, path, depth=depth)
    elif "allOf" in node and "provider" in node.get("properties", {}):
        yield from _connections(node, path, depth=depth)
    elif node.get("properties"):
        yield from _block(node, f"`{path}`", path, depth=depth + 1)
    elif isinstance(node.get("items"), Mapping):
        yield from _below({**node["items"], "description": node.get("description", "")}, f"{path}[]", depth=depth)
    elif isinstance(node.get("additionalProperties"), Mapping):
        within = node["additionalProperties"]
        about = within.get("description") or node.get("description", "")
        yield from _below({**within, "description": about}, f"{path}.NAME", depth=depth)
    for branch in node.get("anyOf", ()):
        yield from _below({"description": node.get("description", ""), **branch}, path, depth=depth)


def _kinds(node: Mapping[str, Any], path: str, *, depth: int) -> Iterator[str]:
    """A mapping from kinds to their blocks."""
    yield f"{'#' * min(depth + 1, 5)} `{path}`\n"
    yield f"{_sentence(node.get('description', ''))}\n"
    for name, block in node["properties"].items():
        yield from _block(block, f"`{path}.{name}`", f"{path}.{name}", depth=depth + 2)


def _connections(node: Mapping[str, Any], path: str, *, depth: int) -> Iterator[str]:
    """One section a provider."""
    yield f"{'#' * min(depth + 1, 5)} `{path}`\n"
    yield f"{_sentence(node.get('description', ''))} Its `provider` says what else it takes.\n"
    for branch in node["allOf"]:
        block = {**branch["then"], "required": ["provider", *branch["then"].get("required", ())]}
        yield from _block(block, f"`{path}` with `provider: {block['title']}`", path, depth=depth + 2)


def _rules(node: Mapping[str, Any]) -> Iterator[str]:
    """What stands between keys."""
    for keyword, words in (("oneOf", "Exactly one"), ("anyOf", "At least one")):
        names = [branch["required"] for branch in node.get(keyword, ()) if set(branch) == {"required"}]
        if names and len(names) == len(node[keyword]):
            yield f"{words} of {', '.join(' with '.join(f'`{n}`' for n in some) for some in names)} must be given.\n"
    if set(node.get("not", {})) == {"required"}:
        yield f"{' and '.join(f'`{name}`' for name in node['not']['required'])} exclude each other.\n"


def _type(node: Any) -> str:  # noqa: PLR0911 - one for each way to say what fits
    """What may be written, in words."""
    if not isinstance(node, Mapping):
        return "anything"
    if "const" in node:
        return f"`{_json(node['const'])}`"
    if "enum" in node:
        return " · ".join(f"`{_json(value)}`" for value in node["enum"])
    if "anyOf" in node:
        return " or ".join(_type(branch) for branch in node["anyOf"])
    if node.get("format") in {"duration", "size", "path", "secret"}:
        return str(node["format"])
    types = node.get("type")
    if types is None:
        return "anything"
    return " or ".join(_word(word, node) for word in ([types] if isinstance(types, str) else types))


def _word(word: str, node: Mapping[str, Any]) -> str:
    if word == "array":
        within = node.get("items", {})
        return "list" if _is_mapping(within) else f"list of {_type(within)}"
    if word == "object":
        within = node.get("additionalProperties")
        simple = isinstance(within, Mapping) and not _is_mapping(within)
        return f"mapping of names to {_type(within)}" if simple else "mapping"
    if word in {"integer", "number"}:
        low, high = node.get("minimum"), node.get("maximum")
        bounds = f", {low} to {high}" if high is not None else f" from {low}" if low is not None else ""
        return {"integer": "whole number", "number": "number"}[word] + bounds
    return {"string": "text", "boolean": "true or false", "null": "nothing"}[word]


def _is_mapping(node: Any) -> bool:
    return isinstance(node, Mapping) and node.get("type") == "object"


def _default(name: str, node: Any, required: set[str]) -> str:
    if name in required:
        return "required"
    if not isinstance(node, Mapping) or node.get("default") in (None, {}, [], ""):
        return ""
    return f"`{_json(node['default'])}`"


def _cell(node: Any) -> str:
    """A description and its examples, in one line of a table."""
    if not isinstance(node, Mapping):
        return ""
    about = _sentence(node.get("description", ""))
    examples = ", ".join(f"`{_json(example)}`" for example in node.get("examples", ()))
    return (f"{about} Example: {examples}." if examples else about).replace("|", "\\|").replace("\n", " ")


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "?", "!", ":")) else f"{text}."


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
