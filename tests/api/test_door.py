"""The public API has one door, and it is in order: sorted, complete, documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import headgate.api
import headgate.api.client
import headgate.api.testing
from headgate import api
from headgate.api import hookspecs

DOCS = Path(__file__).resolve().parents[2] / "docs"
REFERENCE = (DOCS / "plugins.md").read_text()
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("headgate_")}


def modules():
    for found in pkgutil.iter_modules(headgate.api.__path__):
        if found.name != "testing":
            yield importlib.import_module(f"headgate.api.{found.name}")


def in_order(names):
    """Constants, then classes, then functions, each sorted, as the linter has it."""

    def rank(name):
        return 0 if name.isupper() else 1 if name[0].isupper() else 2

    return sorted(names, key=lambda name: (rank(name), name))


@pytest.mark.parametrize("door", [headgate.api, headgate.api.client, headgate.api.testing])
def test_all_is_sorted_and_every_name_is_there(door):
    assert door.__all__ == in_order(set(door.__all__))
    assert all(hasattr(door, name) for name in door.__all__)


def test_every_public_class_and_function_stands_at_the_door():
    missing = [
        f"{module.__name__}.{name}"
        for module in modules()
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        and getattr(api, name, None) is not value
    ]
    assert not missing


def test_every_public_thing_has_a_docstring():
    assert not [name for name in api.__all__ if inspect.isclass(getattr(api, name)) and not getattr(api, name).__doc__]
    for module in modules():
        assert module.__doc__


def test_what_the_client_offers_is_documented_and_taken_from_its_modules():
    for name in headgate.api.client.__all__:
        offered = getattr(headgate.api.client, name)
        assert not (inspect.isclass(offered) or inspect.isfunction(offered)) or offered.__doc__, name
    for found in pkgutil.iter_modules(headgate.api.client.__path__):
        assert importlib.import_module(f"headgate.api.client.{found.name}").__doc__


def test_importing_the_api_does_not_import_pytest_aiohttp_or_the_host():
    code = (
        "import sys, headgate.api; rooms = ('config', 'storage', 'web', 'plugins', 'git', 'cli', 'builds', 'app');"
        "assert not {'pytest', 'aiohttp'} & set(sys.modules); "
        "assert not [room for room in rooms if f'headgate.{room}' in sys.modules]"
    )
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", code], check=True)


def test_there_are_the_seven_hooks():
    assert set(HOOKS) == {name for name in api.__all__ if name.startswith("headgate_")}
    assert len(HOOKS) == 7


def test_no_heading_names_a_hook_that_does_not_exist():
    assert set(re.findall(r"^### (headgate_\w+)$", REFERENCE, re.MULTILINE)) == set(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_each_hook_is_documented_with_its_signature_and_example(name):
    section = REFERENCE.partition(f"### {name}\n")[2].partition("\n## ")[0].partition("\n### ")[0]
    hook = HOOKS[name]
    signature = f"def {name}{inspect.signature(hook)}".replace("'", "")
    assert signature in section
    assert example_of(hook) in section


def example_of(hook):
    return re.search(r"```python\n(.*?)```", inspect.getdoc(hook), re.DOTALL)[1]


@pytest.mark.parametrize("name", HOOKS)
def test_each_docstrings_example_runs_and_gives_kinds(name):
    def stand_in(*_):
        """Whatever the example leaves to the reader."""

    namespace = {key: getattr(api, key) for key in api.__all__} | {"SCHEMA": api.EMPTY_SCHEMA, "Sourcehut": object}
    for left_open in ("open_connection", "normalise", "read", "FullMoon", "Weekday"):
        namespace[left_open] = stand_in
    for left_open in ("open_keyring", "open_bell", "open_podman", "draw_moon"):
        namespace[left_open] = stand_in
    namespace.pop(name)
    exec(example_of(HOOKS[name]), namespace)
    kinds = list(namespace[name]())
    expected = re.fullmatch(r"Iterable\[(\w+)\]", inspect.signature(HOOKS[name]).return_annotation)[1]
    assert [type(kind).__name__ for kind in kinds] == [expected]
    assert namespace[name].headgate_impl


def test_the_reference_names_each_capability_and_each_contract():
    for word, protocol in api.CAPABILITIES.items():
        assert f"| `{word}` | `{protocol.__name__}` |" in REFERENCE
    contracts = [name for name in headgate.api.testing.__all__ if name.endswith("Contract") and name != "RuleContract"]
    assert len(contracts) == 7
    for name in contracts:
        assert f"`{name}`" in REFERENCE


def test_the_python_of_the_reference_is_python():
    for block in re.findall(r"```python\n(.*?)```", REFERENCE, re.DOTALL):
        if not block.startswith("def "):  # a bare signature
            compile(block, "plugins.md", "exec")
