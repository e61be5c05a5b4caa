"""As whom GitHub is asked: an App that signs and is looked up, an OAuth application, and what git is given of both."""

from __future__ import annotations

import contextlib
import inspect
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from headgate import api
from headgate.api.testing import NOW, Answer, CallsContract, calling
from headgate_plugins import github

KIND = next(iter(github.headgate_providers()))
ROOT = "/api/v3"
SHA = "a1" * 20
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
).decode()
APP = api.Credential(
    type="github_app", fields={"app_id": api.Secret("4711"), "private_key": api.Secret(PEM)}, hosts=("127.0.0.1",)
)
WEB = api.Repository(host="127.0.0.1", path="acme/web")
TOLD = []


def options(url):
    return {"base_url": url, "webhook_secrets": ["secret://contract/hook"], "credential": "secret://contract/api"}


def signed(request):
    """What the App says of itself; raises when GitHub would refuse it."""
    token = request.headers["Authorization"].removeprefix("Bearer ")
    said = jwt.decode(token, KEY.public_key(), algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False})
    now = NOW.timestamp()
    assert said["iat"] <= now < said["exp"] <= now + 600
    assert said["iss"] == "4711"
    return said


class Installed:
    """The App's side of GitHub: installed for acme (1) and ada (2), each with tokens `ghs-<id>-<n>`."""

    def __init__(self, host):
        self.host, self.given = host, 0
        for owner, name, number in (("acme", "web", 1), ("Acme", "api", 1), ("ada", "web", 2)):
            host.on("GET", f"{ROOT}/repos/{owner}/{name}/installation", self._signed({"id": number}))
        self.install(1)
        self.install(2)

    def install(self, number):
        self.host.on("POST", f"{ROOT}/app/installations/{number}/access_tokens", self._give(number))

    def _signed(self, body):
        def answer(request):
            signed(request)
            return Answer(body=body)

        return answer

    def _give(self, number):
        def answer(request):
            signed(request)
            self.given += 1
            body = {
                "token": f"ghs-{number}-{self.given}",
                "expires_at": f"{NOW + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
            }
            return Answer(201, body)

        return answer

    def paths(self):
        return [one.replace(ROOT, "") for one in self.host.paths()]


@contextlib.asynccontextmanager
async def installed(credential=APP):
    async with calling(KIND, options, credential=credential) as (provider, host):
        yield provider, host, Installed(host)
        TOLD.extend(host.asked)


def only(token, body):
    def answer(request):
        good = request.headers.get("Authorization") == f"Bearer {token}"
        return Answer(body=body) if good else Answer(401, {"message": "Bad credentials"})

    return answer


class TestContractOfAnApp(CallsContract):
    """The contract once more, as an App. Its first request is its own."""

    kind = KIND
    credential = APP


async def test_each_owner_has_its_installation_and_its_token():
    async with installed() as (provider, host, app):
        for owner, name, token in (("acme", "web", "ghs-1-1"), ("ada", "web", "ghs-2-2"), ("Acme", "api", "ghs-1-1")):
            host.on("GET", f"{ROOT}/repos/{owner}/{name}", only(token, {"full_name": f"{owner}/{name}"}))
            assert (await provider.repository(f"{owner}/{name}")).repository.path == f"{owner}/{name}"
        assert app.paths() == [
            "GET /repos/acme/web/installation",
            "POST /app/installations/1/access_tokens",
            "GET /repos/acme/web",
            "GET /repos/ada/web/installation",
            "POST /app/installations/2/access_tokens",
            "GET /repos/ada/web",
            "GET /repos/Acme/api",
        ]


async def test_git_is_given_the_installations_token_for_the_hosts_of_the_app():
    async with installed() as (provider, _, _):
        source = await provider.clone_source("acme/web")
        again = await provider.clone_source("acme/web")
    assert (source.credential.type, source.credential.text().reveal()) == ("token", "ghs-1-1")
    assert (source.credential.hosts, source.username) == (("127.0.0.1",), "x-access-token")
    assert again == source


async def test_a_token_that_is_refused_is_renewed():
    async with installed() as (provider, host, _):
        host.on("GET", f"{ROOT}/repos/acme/web", only("ghs-1-2", {"full_name": "acme/web"}))
        access = provider._access
        login = await (await access.app()).login("acme/web")
        login.git._renewed["github_app"]._rest = timedelta()
        await provider.repository("acme/web")


async def test_an_app_that_is_not_installed_says_so():
    async with installed() as (provider, _, _):
        with pytest.raises(api.NotFound, match="not installed for bob/web"):
            await provider.repository("bob/web")


async def test_an_app_that_was_installed_anew_is_looked_up_again():
    async with installed() as (provider, host, app):
        gone = f"{ROOT}/app/installations/1/access_tokens"
        host.on("POST", gone, Answer(404, {"message": "Not Found"}))
        with pytest.raises(api.NotFound):
            await provider.repository("acme/web")
        host.on("GET", f"{ROOT}/repos/acme/web/installation", {"id": 3})
        app.install(3)
        host.on("GET", f"{ROOT}/repos/acme/web", {"full_name": "acme/web"})
        await provider.repository("acme/web")


async def test_an_app_bound_elsewhere_signs_nothing():
    bound = api.Credential(type="github_app", fields=APP.fields, hosts=("api.github.com",))
    async with installed(bound) as (provider, host, _):
        for call in (provider.repository("acme/web"), provider.clone_source("acme/web"), provider.test_connection()):
            with pytest.raises(api.CredentialError, match="not bound"):
                await call
        assert not host.asked


@pytest.mark.parametrize("key", ["hunter2hunter2", PEM.replace("A", "B"), PEM[:200]])
async def test_a_key_that_is_none_is_named_and_not_repeated(key):
    fields = {"app_id": api.Secret("4711"), "private_key": api.Secret(key)}
    async with installed(api.Credential(type="github_app", fields=fields, hosts=("*",))) as (provider, host, _):
        with pytest.raises(api.CredentialError, match="no RSA key") as caught:
            await provider.repository("acme/web")
        assert not host.asked
    assert key[-40:] not in str(caught.value)


async def test_control_another_apps_signature_would_be_refused():
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    fields = {"app_id": api.Secret("4711"), "private_key": api.Secret(pem)}
    async with calling(KIND, options, credential=api.Credential(type="github_app", fields=fields, hosts=("*",))) as (
        provider,
        host,
    ):
        host.otherwise(Answer(404, {}))
        with pytest.raises(api.NotFound):
            await provider.repository("acme/web")
        with pytest.raises(jwt.InvalidSignatureError):
            signed(host.asked[0])


async def test_the_test_of_an_app_says_where_it_is_and_what_it_lacks():
    async with installed() as (provider, host, _):
        granted = {"contents": "write", "metadata": "read", "statuses": "read", "pull_requests": "read"}
        host.on("GET", f"{ROOT}/app", {"slug": "headgate", "name": "Headgate", "permissions": granted})
        acme = {"id": 1, "account": {"login": "acme"}, "suspended_at": None}
        bob = {"id": 9, "account": {"login": "bob"}, "suspended_at": "2026-01-01T00:00:00Z"}
        host.on("GET", f"{ROOT}/app/installations", [acme, bob], [bob])
        found = await provider.test_connection()
        nowhere = await provider.test_connection()
    assert (found.user, found.missing) == ("headgate[bot]", ("checks:write", "statuses:write"))
    assert found.permissions == ("contents:write", "metadata:read", "pull_requests:read", "statuses:read")
    assert found.message == "an App, installed for acme"
    assert nowhere.missing == ("checks:write", "statuses:write", "installation")


async def test_an_app_discovers_what_it_is_installed_for():
    async with installed() as (provider, host, _):
        accounts = [{"id": 1, "account": {"login": "acme"}}, {"id": 2, "account": {"login": "ada"}}]
        bob = {"id": 9, "account": {"login": "bob"}, "suspended_at": "2026-01-01T00:00:00Z"}
        host.on("GET", f"{ROOT}/app/installations", [*accounts, bob])
        repos = {"ghs-1-1": ["acme/web", "acme/api"], "ghs-2-2": ["ada/web"]}

        def listed(request):
            names = repos[request.headers["Authorization"].removeprefix("Bearer ")]
            return Answer(body={"total_count": 2, "repositories": [{"full_name": name} for name in names]})

        host.on("GET", f"{ROOT}/installation/repositories", listed)
        found = [one.repository.path async for one in provider.discover(api.RepositoryQuery())]
        of_ada = [one.repository.path async for one in provider.discover(api.RepositoryQuery(owner="Ada"))]
    assert (found, of_ada) == (["acme/web", "acme/api", "ada/web"], ["ada/web"])


async def test_addresses_are_asked_for_without_the_key():
    async with installed() as (provider, host, _):
        host.on("GET", f"{ROOT}/meta", {"hooks": ["203.0.113.0/24"]})
        await provider.sender_addresses()
        assert "Authorization" not in host.asked[0].headers


# -- checks


def check(count=0, **changes):
    notes = tuple(
        api.Annotation(path="a.py", line=n + 1, message=f"note {n}", level="failure", title="x" * 300)
        for n in range(count)
    )
    values = {"name": "headgate/web", "state": "failed", "external_id": "b_1", "summary": "no", "annotations": notes}
    return api.CheckReport(**{**values, **changes})


RUNS = f"{ROOT}/repos/acme/web/check-runs"


async def reported(report, *found):
    """The bodies that were sent for a check, beside runs that are `found` at GitHub."""
    async with installed() as (provider, host, _):
        runs = [{"id": 1, "external_id": "b_0", "output": {"annotations_count": 5}}, *found]
        host.on("GET", f"{ROOT}/repos/acme/web/commits/{SHA}/check-runs", {"total_count": 1, "check_runs": runs})
        host.on("POST", RUNS, Answer(201, {"id": 8}))
        host.on("PATCH", f"{RUNS}/8", {"id": 8})
        await provider.report_check(WEB, SHA, report)
        sent = [one for one in host.asked if one.path.startswith(RUNS)]
        assert [
            one.query["check_name"] for one in host.asked if one.path.endswith("commits/" + SHA + "/check-runs")
        ] == ["headgate/web"]
    return [(one.method, one.json()) for one in sent]


async def test_a_check_is_made_with_all_its_annotations_fifty_at_a_time():
    sent = await reported(
        check(120, started_at=NOW, finished_at=datetime(2026, 1, 5, 13, tzinfo=UTC), url="https://ci/1")
    )
    assert [(method, len(body["output"]["annotations"])) for method, body in sent] == [
        ("POST", 50),
        ("PATCH", 50),
        ("PATCH", 20),
    ]
    messages = [note["message"] for _, body in sent for note in body["output"]["annotations"]]
    assert messages == [f"note {n}" for n in range(120)]
    first = sent[0][1]
    assert first["output"]["annotations"][0] == {
        "path": "a.py",
        "start_line": 1,
        "end_line": 1,
        "annotation_level": "failure",
        "message": "note 0",
        "title": "x" * 254 + "…",
    }
    del first["output"]
    assert first == {
        "name": "headgate/web",
        "head_sha": SHA,
        "external_id": "b_1",
        "status": "completed",
        "conclusion": "failure",
        "started_at": "2026-01-05T12:00:00Z",
        "completed_at": "2026-01-05T13:00:00Z",
        "details_url": "https://ci/1",
    }


async def test_a_report_that_is_repeated_sends_no_annotation_twice():
    sent = await reported(check(60), {"id": 8, "external_id": "b_1", "output": {"annotations_count": 50}})
    assert [(method, [note["message"] for note in body["output"]["annotations"]]) for method, body in sent] == [
        ("PATCH", [f"note {n}" for n in range(50, 60)])
    ]
    assert sent[0][1]["conclusion"] == "failure"


@pytest.mark.parametrize(
    ("state", "status", "conclusion"),
    [
        ("queued", "queued", None),
        ("running", "in_progress", None),
        ("succeeded", "completed", "success"),
        ("failed", "completed", "failure"),
        ("errored", "completed", "failure"),
        ("cancelled", "completed", "cancelled"),
    ],
)
async def test_every_state_has_a_word_for_checks(state, status, conclusion):
    ((_, body),) = await reported(check(state=state))
    assert (body["status"], body.get("conclusion"), body["output"]["title"]) == (status, conclusion, "headgate/web")


# -- OAuth


OAUTH = api.Credential(
    type="oauth",
    fields={
        "client_id": api.Secret("Iv1.app"),
        "client_secret": api.Secret("sesame-seed"),
        "refresh_token": api.Secret("ghr-0"),
    },
    hosts=("127.0.0.1",),
)


async def test_an_oauth_credential_asks_as_its_user_and_keeps_what_rotates():
    async with calling(KIND, options, credential=OAUTH) as (provider, host):

        def give(request):
            assert b"refresh_token=ghr-0" in request.body
            assert request.headers["Accept"] == "application/json"
            return Answer(body={"access_token": "ghu-1", "refresh_token": "ghr-1", "expires_in": 28800, "scope": ""})

        host.on("POST", "/login/oauth/access_token", give)
        host.on("GET", f"{ROOT}/user", only("ghu-1", {"login": "ada"}))
        assert (await provider.test_connection()).user == "ada"
        source = await provider.clone_source("acme/web")
        kept = provider._access._host._credentials["secret://contract/api"]
        assert [one.path for one in host.asked] == ["/login/oauth/access_token", f"{ROOT}/user"]
    assert source.credential.text().reveal() == "ghu-1"
    assert kept.fields["refresh_token"].reveal() == "ghr-1"


async def test_a_refresh_token_that_github_refuses_says_what_to_do():
    async with calling(KIND, options, credential=OAUTH) as (provider, host):
        host.on("POST", "/login/oauth/access_token", {"error": "bad_refresh_token", "error_description": "it is over"})
        with pytest.raises(api.CredentialError, match="credentials authorize contract/api"):
            await provider.repository("acme/web")


async def test_a_credential_of_another_type_works_at_once_when_it_is_set():
    token = api.Credential(type="token", fields={"token": api.Secret("t0ken-of-ours")}, hosts=("127.0.0.1",))
    async with installed() as (provider, host, _):
        host.on("GET", f"{ROOT}/repos/acme/web", {"full_name": "acme/web"})
        await provider.repository("acme/web")
        provider._access._host._credentials["secret://contract/api"] = token
        await provider.repository("acme/web")
        assert [one.headers["Authorization"] for one in host.asked[-2:]] == ["Bearer ghs-1-1", "Bearer t0ken-of-ours"]


STORIES = [
    story
    for name, story in list(globals().items())
    if name.startswith("test_") and inspect.iscoroutinefunction(story) and not inspect.signature(story).parameters
]


@pytest.mark.corpus
async def test_every_request_of_an_app_is_one_that_github_describes():
    from description import description

    known = description("github-api.github.com.json.gz", base=ROOT)
    TOLD.clear()
    for story in STORIES:
        await story()
    problems = {
        problem
        for one in TOLD
        for problem in known.problems(one.method, one.path, one.query, one.json() if one.body else None)
    }
    assert not problems, "\n".join(sorted(problems))
    assert len(TOLD) > 30
