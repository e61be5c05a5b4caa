"""Azure DevOps asked for repositories, refs, commits, files and people, and how it refuses; on answers of our own."""

from __future__ import annotations

import asyncio
import base64
import functools
from datetime import timedelta

import pytest
from aiohttp import web
from azure_devops_payloads import ADA, BOB, NEW, OLD, OTHER, PAGE
from azure_devops_server import (
    JWT,
    KIND,
    PRINCIPAL,
    PROJECT,
    REPO,
    WEB,
    ask,
    changed_options,
    commit,
    entry,
    listed,
    on,
    options,
    ref,
    repository,
)

from headgate import api
from headgate.api.client import Bounds, Client
from headgate.api.testing import NOW
from headgate.api.testing.calls import TOKEN, Answer, CallsContract, GitHost, calling
from headgate.git.names import check_url

HERE = "dev.azure.com"


class TestContract(CallsContract):
    kind = KIND

    def options(self, url):
        return options(url)

    async def ask(self, provider):
        return await provider.repository(WEB)

    @pytest.mark.parametrize("status", [203, 302])
    def test_a_sign_in_page_is_a_refusal(self, status):
        """Who is not known is not told so in so many words."""
        error, host = self.after(Answer(status, b"<html>Sign in</html>", {"Content-Type": "text/html"}))
        assert type(error) is api.Refused
        assert len(host.asked) == 1

    def test_the_wish_beside_a_success_is_kept(self):
        """`Retry-After` with 200: the next request waits, and a patient one is not refused."""
        slow = Answer(200, repository(), {"Retry-After": "120", "X-RateLimit-Delay": "1.5"})

        async def twice(provider, _):
            await provider.repository(WEB)
            with pytest.raises(api.RateLimited) as caught:
                await provider.report_status(
                    api.Repository(host=HERE, path=WEB),
                    NEW,
                    api.CommitStatus(context="headgate/web", state="queued", description=""),
                )
            return caught.value

        host = GitHost()
        host.otherwise(slow)
        error = ask(twice, host)
        assert error.retry_at == NOW + timedelta(seconds=120)
        assert len(host.asked) == 1


class TestPrincipalContract(TestContract):
    """The same as a service principal: its sign-in answers first."""

    credential = PRINCIPAL

    def after(self, answer, *, credential=None):
        async def asked():
            async with calling(self.kind, self.options, credential=credential or self.credential) as (provider, host):
                host.otherwise(answer)
                host.on("POST", TOKENS, GIVEN)
                try:
                    await self.ask(provider)
                except Exception as error:  # noqa: BLE001 - the tests say which
                    return error, _without_sign_in(host)
                return None, _without_sign_in(host)

        return asyncio.run(asked())

    def test_the_wish_beside_a_success_is_kept(self):
        """Shown above; the sign-in has limits of its own."""


TOKENS = "/login/tenant-1/oauth2/v2.0/token"
GIVEN = {"token_type": "Bearer", "expires_in": 3599, "access_token": JWT}


def _without_sign_in(host):
    host.asked = [one for one in host.asked if one.path != TOKENS]
    return host


def test_every_request_names_the_version_and_who_asks():
    host = on({f"GET {REPO}": repository(), f"GET {REPO}/refs": listed(ref())})

    async def some(provider, _):
        await provider.repository(WEB)
        return [one async for one in provider.branches(WEB)]

    ask(some, host)
    assert [one.query["api-version"] for one in host.asked] == ["7.1", "7.1"]
    login = base64.b64encode(b":" + TOKEN.text().reveal().encode()).decode()
    assert {one.headers["Authorization"] for one in host.asked} == {f"Basic {login}"}

    host = on({f"GET {REPO}": repository()})
    ask(lambda provider, _: provider.repository(WEB), host, settings=changed_options(api_version="6.0"))
    assert host.asked[0].query["api-version"] == "6.0"


def test_a_user_of_a_server_signs_in_with_a_password():
    credential = api.Credential(
        type="user_password",
        fields={"username": api.Secret("ACME\\ada"), "password": api.Secret("pass")},
        hosts=("127.0.0.1",),
    )
    host = on({f"GET {REPO}": repository()})
    ask(lambda provider, _: provider.repository(WEB), host, credential=credential)
    assert base64.b64decode(host.asked[0].headers["Authorization"].removeprefix("Basic ")) == b"ACME\\ada:pass"


class Slow(GitHost):
    """Begins to answer and does not end."""

    async def handle(self, request):
        self.asked.append(request.method)
        response = web.StreamResponse(headers={"Content-Length": "64"})
        await response.prepare(request)
        await response.write(b'{"id"')
        await asyncio.Event().wait()


def test_an_answer_that_does_not_end_is_given_up_and_asked_for_again(monkeypatch):
    impatient = Bounds(whole=0.05, attempts=2, backoff=0.0)
    monkeypatch.setattr("headgate_plugins.azure_devops.client.Client", functools.partial(Client, bounds=impatient))
    host = Slow()
    with pytest.raises(api.Unavailable, match="in time"):
        ask(lambda provider, _: provider.repository(WEB), host)
    assert host.asked == ["GET", "GET"]


# -- service principals


def test_a_service_principal_signs_in_once_and_is_a_bearer():
    host = on({f"POST {TOKENS}": GIVEN, f"GET {REPO}": repository()})

    async def twice(provider, _):
        await provider.repository(WEB)
        await provider.repository(WEB)
        return await provider.clone_source(WEB)

    source = ask(twice, host, credential=PRINCIPAL)
    assert host.paths() == [f"POST {TOKENS}", f"GET {REPO}", f"GET {REPO}"]
    assert dict(pair.split("=") for pair in host.asked[0].body.decode().split("&")) == {
        "grant_type": "client_credentials",
        "client_id": "client-1",
        "client_secret": "principal%27s+secret",
        "scope": "499b84ac-1321-427f-aa17-267ca6975798%2F.default",
    }
    assert "Authorization" not in host.asked[0].headers
    assert host.asked[1].headers["Authorization"] == f"Bearer {JWT}"
    assert (source.credential.type, source.credential.text().reveal()) == ("token", JWT)


def test_a_token_that_ends_is_got_anew_and_so_is_one_that_is_refused(monkeypatch):
    """A quarter of a minute is too short to be used; a refused one is replaced when it is not brand-new."""
    host = on({f"POST {TOKENS}": [GIVEN | {"expires_in": 0}, GIVEN], f"GET {REPO}": repository()})

    async def twice(provider, _):
        await provider.repository(WEB)
        await provider.repository(WEB)

    ask(twice, host, credential=PRINCIPAL)
    assert host.paths().count(f"POST {TOKENS}") == 2

    clock = {"now": NOW}
    monkeypatch.setattr("headgate.api.testing.kit.ContractHost.now", lambda _: clock["now"])
    first, second = GIVEN | {"access_token": "a.b.c"}, GIVEN | {"access_token": "d.e.f"}
    refused = Answer(401, {"message": "TF400813: not authorized"})

    def by_token(asked):
        return Answer(200, repository()) if asked.headers["Authorization"] == "Bearer d.e.f" else refused

    host = on({f"POST {TOKENS}": [first, second], f"GET {REPO}": [Answer(200, repository()), by_token]})

    async def later(provider, _):
        await provider.repository(WEB)
        clock["now"] = NOW + timedelta(minutes=10)
        return await provider.repository(WEB)

    assert ask(later, host, credential=PRINCIPAL).repository.path == WEB
    assert host.paths() == [f"POST {TOKENS}", f"GET {REPO}", f"GET {REPO}", f"POST {TOKENS}", f"GET {REPO}"]


@pytest.mark.parametrize("hosts", [("127.0.0.1",), ("login.acme.example",), ()])
def test_a_principals_secret_travels_only_where_it_is_bound_to_both_ways(hosts):
    """To the organisation and to the authority; either alone is not enough, and nothing is asked."""
    bound = api.Credential(type="service_principal", fields=PRINCIPAL.fields, hosts=hosts)
    elsewhere = changed_options(authority="https://login.acme.example")
    host = GitHost()
    with pytest.raises(api.CredentialError, match="not bound"):
        ask(lambda provider, _: provider.repository(WEB), host, credential=bound, settings=elsewhere)
    assert host.asked == []


@pytest.mark.parametrize("status", [400, 401])
def test_a_sign_in_that_is_refused_says_so_without_the_secret(status):
    answer = Answer(status, {"error": "invalid_client", "error_description": "AADSTS7000215: principal's secret"})
    host = on({f"POST {TOKENS}": answer})
    with pytest.raises(api.Refused, match="AADSTS7000215") as caught:
        ask(lambda provider, _: provider.repository(WEB), host, credential=PRINCIPAL)
    assert "principal's secret" not in str(caught.value)
    assert host.paths() == [f"POST {TOKENS}"]


def test_an_ssh_key_is_no_credential_for_the_api():
    key = api.Credential(
        type="ssh_key", fields={"private_key": api.Secret("k"), "known_hosts": api.Secret("h")}, hosts=("127.0.0.1",)
    )
    with pytest.raises(api.CredentialError, match="service_principal"):
        ask(lambda provider, _: provider.repository(WEB), GitHost(), credential=key)


# -- repositories


def test_a_repository():
    found = ask(lambda provider, _: provider.repository(WEB), on({f"GET {REPO}": repository()}))
    assert found == api.HostedRepository(
        repository=api.Repository(host=HERE, path=WEB),
        id="77aa0000-0000-4000-8000-000000000001",
        default_branch="main",
        visibility="private",
        archived=False,
        fork=False,
        url=PAGE,
    )


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"isDisabled": True}, "archived", True),
        ({"isFork": True}, "fork", True),
        ({"defaultBranch": None}, "default_branch", None),
        ({"project": {"name": "Shop Floor", "visibility": "organization"}}, "visibility", "internal"),
        ({"project": {"name": "Shop Floor"}}, "visibility", None),
    ],
)
def test_what_a_repository_is(changes, field, value):
    found = ask(lambda provider, _: provider.repository(WEB), on({f"GET {REPO}": repository(**changes)}))
    assert getattr(found, field) == value


def test_a_repository_without_an_address_is_on_the_host_that_was_asked():
    host = on({f"GET {REPO}": repository(webUrl=None, remoteUrl=None)})
    found = ask(lambda provider, _: provider.repository(WEB), host)
    assert (f"http://{found.repository.host}", found.url) == (host.url, None)


def test_what_names_no_repository_is_not_asked_for():
    host = GitHost()
    for name in ("web", "../x", "a/b/c", ""):
        with pytest.raises(api.NotFound):
            ask(lambda provider, _, name=name: provider.repository(name), host)
        with pytest.raises(api.NotFound):
            ask(lambda provider, _, name=name: provider.clone_source(name), host)
    assert host.asked == []


def test_branches_and_tags_over_two_pages():
    pages = [
        listed(ref(), token="next-1"),
        listed(ref("refs/heads/topic/till", OLD)),
    ]
    host = on({f"GET {REPO}/refs": pages})
    assert ask(lambda provider, _: provider.branches(WEB), host) == [
        api.Branch(name="main", sha=NEW),
        api.Branch(name="topic/till", sha=OLD),
    ]
    assert [(one.query["filter"], one.query.get("continuationToken")) for one in host.asked] == [
        ("heads/", None),
        ("heads/", "next-1"),
    ]

    annotated = ref("refs/tags/v2", OTHER, peeledObjectId=NEW)
    host = on({f"GET {REPO}/refs": listed(ref("refs/tags/v1", OLD), annotated)})
    assert ask(lambda provider, _: provider.tags(WEB), host) == [
        api.HostedTag(name="v1", sha=OLD),
        api.HostedTag(name="v2", sha=NEW),
    ]
    assert (host.asked[0].query["filter"], host.asked[0].query["peelTags"]) == ("tags/", "true")


def test_one_ref_is_the_one_of_the_whole_name():
    answers = listed(ref("refs/heads/main-2", OLD), ref("refs/heads/main", NEW))
    host = on({f"GET {REPO}/refs": answers})
    assert ask(lambda provider, _: provider.ref(WEB, "refs/heads/main"), host) == NEW
    assert host.asked[0].query["filter"] == "heads/main"
    for name in ("refs/heads/mai", "main", ""):
        with pytest.raises(api.NotFound):
            ask(lambda provider, _, name=name: provider.ref(WEB, name), host)


def test_an_answer_with_a_cut_sha_is_a_provider_error():
    host = on({f"GET {REPO}/refs": listed(ref(sha="b2b2b2"))})
    with pytest.raises(api.ProviderError, match="cannot be meant"):
        ask(lambda provider, _: provider.branches(WEB), host)


def test_commits_over_two_pages_are_those_of_one_commit(monkeypatch):
    monkeypatch.setattr("headgate_plugins.azure_devops.reading._ALL_COMMITS", 2)
    host = on(
        {
            f"GET {REPO}/refs": listed(ref()),
            f"GET {REPO}/commits": [listed(commit(NEW), commit(OTHER)), listed(commit(OLD, "First"))],
        }
    )
    found = ask(lambda provider, _: provider.commits(WEB, "main"), host)
    assert [(one.id, one.message, one.paths) for one in found] == [
        (NEW, "Fix the till", None),
        (OTHER, "Fix the till", None),
        (OLD, "First", None),
    ]
    assert found[0].author == api.Person(name="Ada Byron", email="ada@acme.example")
    assert found[0].url == f"{PAGE}/commit/{NEW}"
    asked = [one.query for one in host.asked if one.path.endswith("/commits")]
    assert [one.get("searchCriteria.$skip") for one in asked] == [None, "2"]
    assert {one["searchCriteria.itemVersion.version"] for one in asked} == {NEW}
    assert {one["searchCriteria.itemVersion.versionType"] for one in asked} == {"commit"}


def test_a_name_is_a_branch_then_a_tag_then_nothing():
    host = on(
        {
            f"GET {REPO}/refs": [listed(), listed(ref("refs/tags/v1", OLD)), listed(), listed()],
            f"GET {REPO}/commits": listed(),
        }
    )

    async def both(provider, _):
        assert [one async for one in provider.commits(WEB, "v1")] == []
        with pytest.raises(api.NotFound, match="no branch or tag v9"):
            assert [one async for one in provider.commits(WEB, "v9")] == []

    ask(both, host)
    assert [one.query["filter"] for one in host.asked if one.path.endswith("/refs")] == [
        "heads/v1", "tags/v1", "heads/v9", "tags/v9",
    ]  # fmt: skip


CHANGES = [
    entry("/src/till.py"),
    entry("/src/new.py", "add"),
    entry("/src", item={"isFolder": True, "gitObjectType": "tree"}),
    entry("/src/moved.py", "edit, rename", sourceServerItem="/src/old.py"),
    entry("/src/old.py", "delete, sourceRename"),
    entry("/gone.py", "delete"),
]
FILES = (
    api.ChangedFile(path="src/till.py", status="modified"),
    api.ChangedFile(path="src/new.py", status="added"),
    api.ChangedFile(path="src/moved.py", status="renamed", previous_path="src/old.py"),
    api.ChangedFile(path="gone.py", status="removed"),
)


def differences(changes, *, whole=True, ahead=1):
    return {"changes": changes, "allChangesIncluded": whole, "aheadCount": ahead, "behindCount": 0}


def test_a_comparison_is_of_commits_and_files_of_all_pages():
    host = on(
        {
            f"GET {REPO}/diffs/commits": [
                differences(CHANGES[:4], whole=False, ahead=2),
                differences(CHANGES[4:], ahead=2),
            ],
            f"GET {REPO}/commits": listed(commit(NEW), commit(OTHER)),
        }
    )
    found = ask(lambda provider, _: provider.compare(WEB, OLD, NEW), host)
    assert ([one.id for one in found.commits], found.files, found.complete) == ([NEW, OTHER], FILES, True)
    first, second, commits = host.asked
    assert (first.query["$skip"], second.query["$skip"]) == ("0", "4")
    asked = {name: first.query[name] for name in ("baseVersion", "targetVersion", "diffCommonCommit")}
    assert asked == {"baseVersion": OLD, "targetVersion": NEW, "diffCommonCommit": "true"}
    assert commits.query["searchCriteria.itemVersion.version"] == OLD
    assert commits.query["searchCriteria.compareVersion.version"] == NEW


@pytest.mark.parametrize(
    ("answer", "commits", "complete"),
    [
        (differences([]), [commit(NEW)], True),
        (differences([], ahead=2), [commit(NEW)], False),
        (differences([], ahead=1), [commit(OLD)], False),
        (differences([], whole=False), [commit(NEW)], False),
        (differences([], ahead=0), [], True),
    ],
)
def test_a_comparison_says_whether_it_is_whole(answer, commits, complete):
    host = on({f"GET {REPO}/diffs/commits": answer, f"GET {REPO}/commits": listed(*commits)})
    assert ask(lambda provider, _: provider.compare(WEB, OLD, NEW), host).complete is complete


def moved(before=OLD, after=NEW):
    return api.Push(repository=api.Repository(host=HERE, path=WEB), ref="refs/heads/main", before=before, after=after)


def test_changed_paths_are_all_that_differ():
    host = on({f"GET {REPO}/diffs/commits": differences(CHANGES)})
    paths = ask(lambda provider, _: provider.changed_paths(moved()), host)
    assert paths == ("gone.py", "src/moved.py", "src/new.py", "src/old.py", "src/till.py")
    assert host.asked[0].query["diffCommonCommit"] == "false"


@pytest.mark.parametrize("push", [moved(before=None), moved(after=None)])
def test_what_is_new_or_gone_has_no_changed_paths(push):
    host = GitHost()
    with pytest.raises(api.ProviderError, match="compared"):
        ask(lambda provider, _: provider.changed_paths(push), host)
    assert host.asked == []


def test_changed_paths_that_are_not_all_are_none():
    host = on({f"GET {REPO}/diffs/commits": [differences(CHANGES, whole=False), differences([], whole=False)]})
    with pytest.raises(api.ProviderError, match="all that changed"):
        ask(lambda provider, _: provider.changed_paths(moved()), host)


# -- files


def item(path="/src/till.py", **changes):
    return {"objectId": OTHER, "gitObjectType": "blob", "commitId": NEW, "path": path} | changes


def test_a_file_is_the_bytes_of_its_blob():
    content = b"\x00\xff till\r\n"
    host = on(
        {
            f"GET {REPO}/items": item(),
            f"GET {REPO}/blobs/{OTHER}": Answer(200, content, {"Content-Type": "application/octet-stream"}),
        }
    )
    found = ask(lambda provider, _: provider.read_file(WEB, "src/till.py", NEW), host)
    assert found == api.FileContent(path="src/till.py", content=content, revision=OTHER)
    first, second = host.asked
    assert (first.query["path"], first.query["versionDescriptor.version"]) == ("/src/till.py", NEW)
    assert second.headers["Accept"] == "application/octet-stream"


def test_a_file_at_a_branch_is_read_at_its_commit():
    host = on(
        {f"GET {REPO}/refs": listed(ref()), f"GET {REPO}/items": item(), f"GET {REPO}/blobs/{OTHER}": Answer(200, b"")}
    )
    ask(lambda provider, _: provider.read_file(WEB, "src/till.py", "main"), host)
    assert host.asked[1].query["versionDescriptor.version"] == NEW


@pytest.mark.parametrize(
    "changes", [{"isFolder": True, "gitObjectType": "tree"}, {"gitObjectType": "commit"}, {"objectId": None}]
)
def test_a_folder_is_no_file(changes):
    with pytest.raises(api.Conflict):
        ask(lambda provider, _: provider.read_file(WEB, "src", NEW), on({f"GET {REPO}/items": item(**changes)}))


def test_a_file_that_is_not_there():
    with pytest.raises(api.NotFound, match="no file src/x"):
        ask(lambda provider, _: provider.read_file(WEB, "src/x", NEW), GitHost())


# -- people and discovery


def test_members_are_those_of_all_teams_once(monkeypatch):
    monkeypatch.setattr("headgate_plugins.azure_devops.client.PAGE", 1)
    teams = "/acme/_apis/projects/Shop%20Floor/teams"
    host = on(
        {
            f"GET {teams}": listed({"id": "t1"}, {"id": "t2"}),
            f"GET {teams}/t1/members": listed({"identity": ADA, "isTeamAdmin": True}),
            f"GET {teams}/t2/members": listed({"identity": ADA}, {"identity": BOB}),
        }
    )
    assert ask(lambda provider, _: provider.members(WEB), host) == [
        api.Member(account="ada@acme.example", name="Ada Byron"),
        api.Member(account="bob@acme.example", name="Bob"),
    ]


def test_contributors_are_counted_from_the_default_branch():
    bob = commit(OLD) | {"author": {"name": "Bob", "email": "bob@acme.example"}}
    host = on(
        {
            f"GET {REPO}": repository(),
            f"GET {REPO}/refs": listed(ref()),
            f"GET {REPO}/commits": listed(commit(NEW), bob, commit(OTHER)),
        }
    )
    assert ask(lambda provider, _: provider.contributors(WEB), host) == [
        api.Contributor(name="Ada Byron", email="ada@acme.example", commits=2),
        api.Contributor(name="Bob", email="bob@acme.example", commits=1),
    ]
    empty = on({f"GET {REPO}": repository(defaultBranch=None)})
    assert ask(lambda provider, _: provider.contributors(WEB), empty) == []


ALL, ONE = "GET /acme/_apis/git/repositories", "GET /acme/shop%20floor/_apis/git/repositories"


@pytest.mark.parametrize(
    ("query", "path", "found"),
    [
        ({}, ALL, ["Web Shop", "Till"]),
        ({"owner": "ACME"}, ALL, ["Web Shop", "Till"]),
        ({"owner": "Shop Floor"}, ONE, ["Web Shop", "Till"]),
        ({"owner": "acme", "project": "Shop Floor"}, ONE, ["Web Shop", "Till"]),
        ({"search": "TIL"}, ALL, ["Till"]),
        ({"visibility": "public"}, ALL, ["Till"]),
        ({"archived": True}, ALL, ["Till"]),
        ({"archived": False}, ALL, ["Web Shop"]),
    ],
)
def test_repositories_are_discovered_and_filtered_here(query, path, found):
    public = {"name": "Shop Floor", "visibility": "public"}
    till = repository(name="Till", project=public, isDisabled=True)
    host = on({path: [listed(repository(), token="x"), listed(till)]})
    result = ask(lambda provider, _: provider.discover(api.RepositoryQuery(**query)), host)
    assert [one.repository.path.partition("/")[2] for one in result] == found


def test_two_owners_at_once_have_nothing():
    host = GitHost()
    query = api.RepositoryQuery(owner="Warehouse", project="Shop Floor")
    assert ask(lambda provider, _: provider.discover(query), host) == []
    assert host.asked == []


# -- builds


BUILD = {
    "id": 41,
    "buildNumber": "20260105.1",
    "status": "completed",
    "result": "succeeded",
    "sourceBranch": "refs/heads/main",
    "sourceVersion": NEW,
    "startTime": "2026-01-05T11:00:00.1234567Z",
    "definition": {"id": 5, "name": "web-ci"},
    "_links": {"web": {"href": "https://dev.azure.com/acme/b/41"}},
}
OF_A_CHANGE = BUILD | {
    "id": 42,
    "sourceBranch": "refs/pull/7/merge",
    "sourceVersion": OTHER,
    "triggerInfo": {"pr.sourceSha": OLD, "pr.sourceBranch": "refs/heads/topic/till"},
    "status": "inProgress",
    "result": None,
}


def test_runs_over_two_pages_newest_first():
    host = on(
        {f"GET {REPO}": repository(), f"GET {PROJECT}/build/builds": [listed(OF_A_CHANGE, token="n"), listed(BUILD)]}
    )
    runs = ask(lambda provider, _: provider.ci_runs(WEB), host)
    assert [(one.id, one.name, one.state, one.sha, one.branch) for one in runs] == [
        ("42", "web-ci", "running", OLD, "topic/till"),
        ("41", "web-ci", "succeeded", NEW, "main"),
    ]
    assert runs[1].started_at.isoformat().startswith("2026-01-05T11:00:00.1234")
    assert runs[1].url == "https://dev.azure.com/acme/b/41"
    query = host.asked[1].query
    assert (query["repositoryId"], query["repositoryType"]) == ("77aa0000-0000-4000-8000-000000000001", "TfsGit")
    assert host.asked[2].query["continuationToken"] == "n"


@pytest.mark.parametrize(("sha", "ids"), [(NEW, ["41"]), (OLD, ["42"]), (OTHER, ["42"]), ("d4" * 20, [])])
def test_runs_of_a_commit_are_looked_for_since_it_came(sha, ids):
    host = on(
        {
            f"GET {REPO}": repository(),
            f"GET {REPO}/commits/{sha}": {"commitId": sha, "push": {"date": "2026-01-05T10:59:00Z"}},
            f"GET {PROJECT}/build/builds": listed(OF_A_CHANGE, BUILD),
        }
    )
    runs = ask(lambda provider, _: provider.ci_runs(WEB, sha=sha, branch="main"), host)
    assert [one.id for one in runs] == ids
    query = host.asked[-1].query
    assert (query["branchName"], query["minTime"]) == ("refs/heads/main", "2026-01-05T10:59:00+00:00")


def test_the_jobs_of_a_run():
    def record(number, kind, state, result=None):
        return {"id": f"r{number}", "type": kind, "name": f"{kind} {number}", "state": state, "result": result}

    records = [
        record(1, "Stage", "completed", "failed"),
        record(2, "Job", "completed", "failed"),
        record(3, "Job", "inProgress"),
        record(4, "Job", "pending"),
        record(5, "Job", "completed", "skipped"),
        record(6, "Job", "completed", "succeededWithIssues"),
        record(7, "Task", "completed", "canceled"),
    ]
    path = f"GET {PROJECT}/build/builds/41/timeline"
    jobs = ask(lambda provider, _: provider.ci_jobs(WEB, "41"), on({path: {"records": records}}))
    assert [(one.name, one.state) for one in jobs] == [
        ("Job 2", "failed"),
        ("Job 3", "running"),
        ("Job 4", "queued"),
        ("Job 5", "skipped"),
        ("Job 6", "succeeded"),
    ]
    for nothing in (Answer(204, b""), Answer(200, None), {"records": None}):
        assert ask(lambda provider, _: provider.ci_jobs(WEB, "41"), on({path: nothing})) == []


# -- the rest


def test_a_clone_source_has_its_credential_beside_the_url():
    host = GitHost()
    source = ask(lambda provider, _: provider.clone_source(WEB), host)
    assert source.url == f"{host.url}/acme/Shop%20Floor/_git/Web%20Shop"
    assert check_url(source.url).url == source.url  # git is given it as it is, percent signs and all
    assert source.credential.text().reveal() == TOKEN.text().reveal()
    assert source.username
    assert host.asked == []


DATA = "GET /acme/_apis/connectionData"


@pytest.mark.parametrize(
    ("user", "account"),
    [
        (
            {"id": ADA["id"], "properties": {"Account": {"$type": "System.String", "$value": "ada@acme.example"}}},
            "ada@acme.example",
        ),
        ({"id": ADA["id"], "providerDisplayName": "Ada Byron", "properties": {}}, "Ada Byron"),
    ],
)
def test_the_test_reports_who_it_is(user, account):
    host = on({DATA: {"authenticatedUser": user, "instanceId": "x"}})
    report = ask(lambda provider, _: provider.test_connection(), host)
    assert report == api.ConnectionReport(user=account)
    assert host.asked[0].query["api-version"] == "7.1-preview"


def test_nobody_is_a_refusal():
    host = on({DATA: {"authenticatedUser": {"id": "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"}}})
    with pytest.raises(api.Refused):
        ask(lambda provider, _: provider.test_connection(), host)


def test_without_a_credential_the_report_says_so_and_nothing_is_sent():
    bare = changed_options(credential=None)
    host = on({f"GET {REPO}": repository()})

    async def tried(provider, _):
        assert (await provider.clone_source(WEB)).credential is None
        await provider.repository(WEB)
        return await provider.test_connection()

    assert ask(tried, host, settings=bare).missing == ("credential",)
    assert "Authorization" not in host.asked[0].headers
    assert len(host.asked) == 1


def test_it_has_every_capability_that_is_claimed():
    claimed = {word for word, protocol in api.CAPABILITIES.items() if issubclass(KIND.provides, protocol)}
    assert claimed >= {
        "changed_paths", "changes", "ci_runs", "clone", "discover", "files", "hooks", "people", "repository",
        "status", "test", "write_changes", "write_files",
    }  # fmt: skip
    assert not claimed & {"issues", "stream", "checks", "sender_addresses"}
