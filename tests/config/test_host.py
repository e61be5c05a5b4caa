from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate import api
from headgate.api import ConfigError
from headgate.config.fitting import Fitting
from headgate.config.formats import Formats
from headgate.config.host import load_good_part, load_plugin_settings, load_settings
from headgate.config.settings import PluginSettings
from headgate.config.written import take_as_written
from headgate.config.yaml import Document


def problems(folder, text: str, kinds=None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        folder.settings(text, kinds)
    return [str(p).removeprefix(f"{p.file}:") for p in caught.value.problems]


def test_an_empty_file_is_all_defaults(folder):
    settings = folder.settings("")
    assert settings.data == folder.path / "data"
    assert settings.database == f"sqlite+aiosqlite:///{folder.path}/data/headgate.db"
    assert settings.jobs == (folder.path / "jobs.d",)
    assert settings.public_url == "http://127.0.0.1:8080"
    assert settings.git.local_roots == ()
    assert settings.connections == ()
    assert settings.credential_stores == {}


@pytest.mark.parametrize("lease", ["3s", "003s", "10s", "1m", "1d"])
def test_a_lease_lasts_three_seconds_or_more(folder, lease):
    assert folder.settings(f"worker: {{lease: {lease}}}").worker.lease >= 3


@pytest.mark.parametrize("lease", ["0s", "2s", "002s", "0m", "0h", "0d"])
def test_a_lease_that_ends_before_it_can_be_renewed_is_refused(folder, lease):
    """Every build would be lost, and the queue asked all the time."""
    assert problems(folder, f"worker: {{lease: {lease}}}") == [
        f"1:17: worker.lease: expected 3s or more, found `{lease}`"
    ]


def test_every_key_arrives_in_its_unit(folder):
    settings = folder.settings("""
        data: ../elsewhere
        database: sqlite:///db/main.db
        jobs: [a.yaml, /srv/jobs]
        server: {host: "::1", port: 0, public_url: "https://ci.example.org/", max_body: 1MiB, read_timeout: 5s}
        git: {local_roots: ["."], timeout: 2m, max_repository_size: 1GiB}
        polling: {jitter: 0.2, concurrency: 3}
        worker: {slots: 0, lease: 1m, stop_within: 1h, log_limit: 1000}
        logs: {format: json, level: debug}
        plugins: {allow: [headgate], deny: [x]}
        connections:
          acme: {provider: forge, root: repos, secrets: [secret://env/HOOK]}
        credential_stores: {env: {}}
        executors: {cluster: {room: a}}
        notifiers: {chat: {room: 17}}
    """)
    here = folder.path
    assert settings.data == here.parent / "elsewhere"
    assert settings.database == f"sqlite+aiosqlite:///{here}/db/main.db"
    assert settings.jobs == (here / "a.yaml", Path("/srv/jobs"))
    assert (settings.server.port, settings.server.max_body, settings.server.read_timeout) == (0, 1_048_576, 5.0)
    assert settings.public_url == "https://ci.example.org"
    assert settings.git.local_roots == (here,)
    assert (settings.git.timeout, settings.git.max_repository_size) == (120.0, 1 << 30)
    worker = settings.worker
    assert (worker.slots, worker.lease, worker.stop_within, worker.log_limit) == (0, 60.0, 3600.0, 1000)
    assert settings.plugins == PluginSettings(allow=("headgate",), deny=("x",))
    (acme,) = settings.connections
    assert (acme.name, acme.provider) == ("acme", "forge")
    assert acme.options == {"root": str(here / "repos"), "secrets": ["secret://env/HOOK"]}
    assert settings.executors == {"cluster": {"room": "a"}, "process": {}}
    assert settings.notifiers == {"chat": {"room": "17"}, "status": {}}


def test_what_needs_no_settings_is_there_and_what_needs_some_is_not(folder):
    settings = folder.settings("")
    assert settings.executors == {"process": {}}
    assert settings.notifiers == {"status": {}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server: {prot: 80}", "1:10: server.prot: unknown key `prot` (did you mean `port`?)"),
        ("server: {port: 65536}", "1:16: server.port: expected at most 65535, found 65536 (The TCP port)"),
        ("connections: {a: {provider: forg, x: 1}}", "1:29: connections.a.provider: there is no provider `forg` (did you mean `forge`?)"),
        ("connections: {a: {root: x}}", "1:15: connections.a: `provider` is missing (What kind of Git hosting this is)"),
        ("connections: {a: {provider: forge}}", "1:15: connections.a: expected one of `base_url` or `root`"),
        ("connections: {a: {provider: forge, root: x, rot: y}}", "1:45: connections.a.rot: unknown key `rot` (did you mean `root`?)"),
        ("connections: {a b: {provider: forge, root: x}}", "1:15: connections.a b: expected letters, digits, `.`, `_` and `-`, starting with a letter or digit, found `a b`"),
        ("connections: {a: {provider: forge, root: x, secrets: [secret://env/A]}}", "1:55: connections.a.secrets[0]: there is no credential store `env` (there are no configured credential stores)"),
        ("connections: {a: {provider: forge, root: x, secrets: hunter2}}", "1:54: connections.a.secrets: expected a list, found a text (write [secret://store/name])"),
        ("connections: {a: forge}", "1:18: connections.a: expected a mapping, found `forge` (write {provider: forge})"),
        ("credential_stores: env", "1:20: credential_stores: expected a mapping, found `env` (write {env: {}})"),
        ("server: {port: '8080'}", "1:16: server.port: expected a whole number, found the text `8080` (write it without quotes)"),
        ("server: {public_url: ci}", "1:22: server.public_url: expected a URL such as https://ci.example.com, without query or fragment, found `ci`"),
        ("credential_stores: {enf: {}}", "1:21: credential_stores.enf: there is no credential store `enf` (did you mean `env`?)"),
        ("executors: {cluster: {}}", "1:13: executors.cluster: `room` is missing"),
        ("data: ${HOME}/x", "1:7: data: nothing is filled in here, so `${…}` would stay as it is (name a secret as secret://store/name; in a step's `run` the shell fills in variables)"),
        ("database: mysql://x", "1:11: database: expected an SQLite URL such as sqlite:///data/headgate.db, found `mysql://x`"),
        ("- 1", "1:1: expected a mapping, found a list (Everything the server needs to know but its jobs)"),
    ],
)  # fmt: skip
def test_problems_are_placed_and_worded(folder, text, expected):
    assert problems(folder, text) == [expected]


@pytest.mark.parametrize(
    ("webhooks", "expected"),
    [
        ("{recover: true}", "1:65: connections.a.webhooks.recover: the provider `forge` cannot do this (these can: hub)"),
        ("{allow: [10.0.0.0/8, provider]}", "1:76: connections.a.webhooks.allow[1]: the provider `forge` cannot do this (none that is installed can)"),
        ("{recover: false, allow: [10.0.0.0/8]}", None),
    ],
)  # fmt: skip
def test_what_no_connection_of_the_provider_can_do_is_a_problem(folder, kinds, webhooks, expected):
    """And what its connections might be able to do is not: that turns out when one is open."""

    class Hub(api.ManagesHooks, api.KnowsHookDeliveries, api.RedeliversHooks): ...

    hub = dataclasses.replace(kinds.providers["forge"], name="hub", provides=Hub)
    both = dataclasses.replace(kinds, providers={**kinds.providers, "hub": hub})
    connections = "connections: {%s: {provider: %s, root: x, webhooks: %s}}"
    if expected:
        assert problems(folder, connections % ("a", "forge", webhooks), both) == [expected]
    else:
        folder.settings(connections % ("a", "forge", webhooks), both)
    if "recover" in webhooks:
        folder.settings(connections % ("a", "hub", webhooks), both)


def test_all_problems_are_told(folder):
    assert (
        len(
            problems(
                folder, "server: {port: x, host: ''}\ndat: 1\nconnections: {a: {provider: x}}\ngit: {timeout: '${T}'}"
            )
        )
        == 6
    )


def test_a_missing_or_unreadable_file_is_a_problem(folder, kinds):
    with pytest.raises(ConfigError, match="cannot be read: no such file"):
        load_settings(folder.path / "none.yaml", kinds)
    (folder.path / "config.yaml").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigError, match=r"config\.yaml:2:1: is not UTF-8"):
        load_settings(folder.path / "config.yaml", kinds)


BROKEN = {"gitlab": "headgate 1 is broken: it cannot be imported: SyntaxError", "vault": "x 2 is denied: plugins.deny"}


def test_a_block_of_a_broken_plugin_is_left_out_and_stops_nobody(folder, kinds):
    settings = folder.settings(
        """
        connections:
          lab: {provider: gitlab, token: secret://vault/t}
          acme: {provider: forge, root: x, secrets: [secret://vault/a]}
        credential_stores: {vault: {any: thing}}
        """,
        dataclasses.replace(kinds, broken=BROKEN),
    )
    assert [connection.name for connection in settings.connections] == ["acme"]
    assert settings.unavailable["connections.lab"] == (
        "there is no provider `gitlab`: it comes with the plugin gitlab: "
        "headgate 1 is broken: it cannot be imported: SyntaxError"
    )
    assert "denied" in settings.unavailable["credential_stores.vault"]
    assert [(problem.line, problem.path) for problem in settings.problems] == [
        (3, "connections.lab"),
        (5, "credential_stores.vault"),
    ]


def test_a_misspelling_is_not_blamed_on_a_broken_plugin(folder, kinds):
    """The negative control of the test above: nothing is left out in silence."""
    found = problems(folder, "connections: {a: {provider: froge}}", dataclasses.replace(kinds, broken=BROKEN))
    assert "did you mean `forge`?" in found[0]


def test_the_plugins_block_is_readable_before_any_plugin(folder):
    path = folder.write(
        "config.yaml", "plugins: {allow: [a], deny: [b]}\nconnections: {x: {provider: unheard}}\nnonsense: 1"
    )
    assert load_plugin_settings(path) == PluginSettings(allow=("a",), deny=("b",))
    assert load_plugin_settings(folder.write("config.yaml", "")) == PluginSettings()
    with pytest.raises(ConfigError, match="did you mean `deny`"):
        load_plugin_settings(folder.write("config.yaml", "plugins: {dney: [b]}"))


WHOLE = {
    "data": "d",
    "database": "sqlite:///x",
    "jobs": ["a"],
    "server": {"host": "h", "port": 1, "public_url": "https://x", "max_body": "1MiB", "read_timeout": "5s"},
    "git": {"local_roots": ["."], "timeout": "2m", "max_repository_size": "1GiB"},
    "polling": {"jitter": 0.1, "concurrency": 3},
    "worker": {"slots": 1, "lease": "1m", "stop_within": "5m", "log_limit": "1KiB"},
    "logs": {"format": "json", "level": "info"},
    "plugins": {"allow": ["a"], "deny": []},
    "connections": {"a": {"provider": "forge", "root": "x", "secrets": ["secret://env/X"]}},
    "credential_stores": {"env": {}},
    "executors": {"cluster": {"room": "x"}},
    "notifiers": {"chat": {"room": "x"}},
}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x", "5m", "${X}", 0.5, "secret://env/x", "forge"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["provider", "x", "env", ""]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
KEYS = st.sampled_from(
    [(key, None) for key in WHOLE] + [(k, n) for k, v in WHOLE.items() if isinstance(v, dict) for n in v]
)


def test_a_block_with_several_mistakes_is_left_out_alone(folder, kinds):
    folder.write(
        "config.yaml", "connections: {a: {provider: forge, rooot: x, secretss: []}, b: {provider: forge, root: y}}"
    )
    good = load_good_part(folder.path / "config.yaml", kinds)
    assert [one.name for one in good.connections] == ["b"]
    assert set(good.unavailable) == {"connections.a"}


def test_a_block_that_was_cut_out_is_no_text_any_more():
    document = Document(file="", value={"data": 5}, texts={("credential_stores", "env", "x"): "5", ("data",): "5"})
    fitting = Fitting({"properties": {"data": {"type": "string"}}}, Formats(folder=Path()))
    assert take_as_written(document, (), document.value, fitting)
    assert document.value == {"data": "5"}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(KEYS, JUNK), max_size=3), st.booleans())
def test_whatever_stands_in_the_file_is_settings_or_problems(folder, kinds, changes, broken):
    value = {key: dict(block) if isinstance(block, dict) else block for key, block in WHOLE.items()}
    for (key, name), junk in changes:
        if name is None or not isinstance(value[key], dict):
            value[key] = junk
        else:
            value[key][name] = junk
    kinds = dataclasses.replace(kinds, broken=BROKEN) if broken else kinds
    told = ()
    try:
        settings = folder.settings(yaml.dump(value), kinds)
    except ConfigError as error:
        told = error.problems
        good = load_good_part(folder.path / "config.yaml", kinds)
        assert good is None or good.file.parent == folder.path, "what is right can be told from what is wrong"
    else:
        assert settings.file.parent == folder.path
        assert broken or not settings.problems
    assert all(problem.line for problem in told)
