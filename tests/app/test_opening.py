"""What a plugin is given by the core: here, that a renewed credential reaches the store it came from, and no other."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from distributions import distribution
from msgspec.structs import replace

from headgate import api
from headgate.app import opening
from headgate.app.opening import PLUGIN_THREADS, GuardedStore, OpenKinds, PluginsHost, guarded
from headgate.config.settings import Settings
from headgate.credentials.redaction import Redactor
from headgate.credentials.references import Secrets
from headgate.plugins import load_plugins
from headgate.plugins.guard import Guards, lone_guard
from headgate.telemetry.metrics import Metrics
from headgate_plugins.encrypted_credentials import EncryptedCredentials
from headgate_plugins.env_credentials import headgate_credential_stores

FIELDS = {name: api.Secret(f"{name}-1") for name in ("client_id", "client_secret", "refresh_token")}
OAUTH = api.Credential(type="oauth", fields=FIELDS, hosts=("git.example.org",))


@pytest.fixture
def sealed(tmp_path):
    return EncryptedCredentials(
        "encrypted", file=tmp_path / "c.json", key_file=tmp_path / "c.key", create_key=True, blocking=asyncio.to_thread
    )


@pytest.fixture
def host(sealed):
    stores = {"encrypted": guarded(sealed, lone_guard())}
    with ThreadPoolExecutor(1) as threads:
        yield PluginsHost(
            name="acme",
            plugin="played",
            secrets=Secrets(stores, Redactor()),
            http=None,
            threads=threads,
            now=lambda: datetime.now(UTC),
            metrics=None,
        )


def renewed(credential, text):
    return replace(credential, fields={**credential.fields, "refresh_token": api.Secret(text)})


async def test_a_renewed_credential_is_in_the_store_and_masked(host, sealed):
    await sealed.put("acme", OAUTH)
    found = await host.secret("secret://encrypted/acme", for_host="git.example.org")
    await host.keep_secret("secret://encrypted/acme", renewed(found, "refresh-2"))
    kept = await sealed.get("acme")
    assert (kept.fields["refresh_token"].reveal(), kept.version, kept.hosts) == ("refresh-2", 2, OAUTH.hosts)
    assert host.masked("refresh-2") == "***"


async def test_one_that_an_admin_set_meanwhile_stays(host, sealed):
    await sealed.put("acme", OAUTH)
    found = await host.secret("secret://encrypted/acme")
    await sealed.put("acme", renewed(OAUTH, "of-the-admin"))
    with pytest.raises(api.CredentialError, match="was changed"):
        await host.keep_secret("secret://encrypted/acme", renewed(found, "refresh-2"))
    assert (await sealed.get("acme")).fields["refresh_token"].reveal() == "of-the-admin"


async def test_nothing_new_can_be_put_into_a_store_this_way(host, sealed):
    with pytest.raises(api.CredentialError, match="is not set"):
        await host.keep_secret("secret://encrypted/other", OAUTH)
    assert not await sealed.list()


async def test_a_guarded_store_is_writable_only_if_it_was(host, sealed):
    (kind,) = headgate_credential_stores()
    async with kind.open({}, host) as env:
        assert not isinstance(guarded(env, lone_guard()), api.WritableCredentialStore)
    store = guarded(sealed, lone_guard())
    assert isinstance(store, api.WritableCredentialStore)
    assert isinstance(store, GuardedStore)
    await store.put("acme", OAUTH)
    await store.remove("acme")
    assert not await store.list()


def opener(plugins):
    """What opens the kinds of `plugins`, beside nothing."""
    metrics = Metrics()
    return OpenKinds(
        plugins,
        redactor=Redactor(),
        http=None,
        now=lambda: datetime.now(UTC),
        metrics=metrics,
        guards=Guards(plugins, tells=metrics.plugins, now=lambda: datetime.now(UTC)),
    )


STORES = """
import contextlib
import threading
from headgate import api

HEADGATE_API = 1
answers = threading.Event()


class Store:
    def __init__(self, host, read):
        self.host, self.read = host, read

    async def get(self, name):
        await self.host.blocking(self.read)
        return api.Credential(type="text", fields={"text": api.Secret("a text")})

    async def list(self):
        return []


def opens(read):
    @contextlib.asynccontextmanager
    async def open(config, host):
        yield Store(host, read)

    return open


@api.hookimpl
def headgate_credential_stores():
    schema = {"type": "object", "additionalProperties": False}
    yield api.CredentialStoreKind(name="hung", summary="Hangs", schema=schema, open=opens(answers.wait))
    yield api.CredentialStoreKind(name="well", summary="Answers", schema=schema, open=opens(lambda: None))
"""


@pytest.mark.parametrize("apart", [True, False], ids=["threads of its own", "control"])
async def test_a_store_that_blocks_its_threads_leaves_the_others_theirs(tmp_path, monkeypatch, apart):
    """Negative control: with the same threads for all, whatever needs one waits for those that hang."""
    monkeypatch.syspath_prepend(distribution(tmp_path, "headgate-stores", "stores", STORES, "1.0"))
    plugins = load_plugins(allow=["stores"])
    settings = Settings(file=tmp_path, data=tmp_path, database="", jobs=(), credential_stores={"hung": {}, "well": {}})
    opened = opener(plugins)
    if not apart:
        opened._threads["credential_stores.well"] = opened._threads["credential_stores.hung"]
    async with opened:
        await opened.reopen(settings)
        assert not opened.problems
        waiting = [asyncio.create_task(opened.secrets.resolve("secret://hung/x")) for _ in range(PLUGIN_THREADS)]
        await asyncio.sleep(0.1)
        asked = asyncio.create_task(opened.secrets.resolve("secret://well/x"))
        done, _ = await asyncio.wait([asked], timeout=1)
        assert bool(done) is apart
        sys.modules.pop("headgate_stores").answers.set()
        await asyncio.wait([asked, *waiting])


SLOW_STORE = """
import asyncio
import contextlib
from headgate import api

HEADGATE_API = 1
answer = asyncio.Event()
happened = []


class Store:
    async def get(self, name):
        happened.append("asked")
        await answer.wait()
        happened.append("answered")
        return api.Credential(type="text", fields={"text": api.Secret("a text")})

    async def list(self):
        return []


@contextlib.asynccontextmanager
async def open(config, host):
    yield Store()
    happened.append("closed")


@api.hookimpl
def headgate_credential_stores():
    schema = {"type": "object"}
    yield api.CredentialStoreKind(name="slow", summary="Takes its time", schema=schema, open=open)
"""


@pytest.mark.parametrize(
    ("within", "order"),
    [(10.0, ["asked", "answered", "closed"]), (0.0, ["asked", "closed", "answered"])],
    ids=["patient", "control"],
)
async def test_what_is_replaced_is_closed_when_nobody_is_inside(tmp_path, monkeypatch, within, order):
    """Negative control: closed at once, whoever is inside uses what is closed."""
    monkeypatch.setattr(opening, "SETTLE_WITHIN", within)
    monkeypatch.syspath_prepend(distribution(tmp_path, "headgate-slow", "slow_store", SLOW_STORE, "1.0"))
    plugins = load_plugins(allow=["slow_store"])
    settings = Settings(file=tmp_path, data=tmp_path, database="", jobs=(), credential_stores={"slow": {}})
    opened = opener(plugins)
    module = sys.modules.pop("headgate_slow")
    async with opened:
        await opened.reopen(settings)
        asked = asyncio.create_task(opened.secrets.resolve("secret://slow/x"))
        await asyncio.sleep(0.05)
        replaced = asyncio.create_task(opened.reopen(settings))
        await asyncio.sleep(0.2)
        module.answer.set()
        await asyncio.wait([asked, replaced])
        assert module.happened == order
