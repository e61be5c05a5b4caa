"""What is asked of Bitbucket Cloud and what its answers mean, against a host that answers as documented."""

from __future__ import annotations

import contextlib
import email
import email.policy
import hashlib
import inspect
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from description import description

from headgate import api
from headgate.api.client import BaseUrl
from headgate.api.testing import NOW
from headgate.api.testing.calls import Answer, CallsContract, calling
from headgate_plugins import bitbucket
from headgate_plugins.bitbucket import reading, writing

KIND = next(iter(bitbucket.headgate_providers()))
BASE = "/2.0/repositories/acme/web"
OLD, NEW, SIDE = "a1" * 20, "b2" * 20, "c3" * 20
UUID = "{11111111-2222-3333-4444-555555555555}"
QUOTED = "%7B11111111-2222-3333-4444-555555555555%7D"
ADA = {"display_name": "Ada L", "nickname": "ada", "type": "user"}
BOB = {"display_name": "Bob B", "nickname": "bob", "type": "user"}
PAGE = "https://bitbucket.org/acme/web"
HTML = {"html": {"href": PAGE}}
REPO = {
    "full_name": "acme/web",
    "uuid": UUID,
    "description": "The shop",
    "is_private": True,
    "mainbranch": {"name": "main"},
    "parent": None,
    "links": HTML,
}


def options(url):
    return {"base_url": url, "webhook_secrets": ["secret://contract/hook"], "credential": "secret://contract/api"}


TOLD = []
"""What was asked, for the description."""


@contextlib.asynccontextmanager
async def connected():
    """An open connection and its host."""
    async with calling(KIND, options) as (provider, host):
        yield provider, host
        TOLD.extend(host.asked)


def paged(*pages):
    """A listing of several pages, each with the link to the next."""

    def answer(asked):
        at = int(asked.query.get("page", 1))
        query = urlencode({**asked.query, "page": at + 1})
        link = f"http://{asked.headers['Host']}{asked.path}?{query}"
        following = {} if at == len(pages) else {"next": link}
        return Answer(body={"values": pages[at - 1], "page": at, "pagelen": 100, **following})

    return answer


async def listed(iterator):
    return [one async for one in iterator]


def commit(sha, author="Ada L <ada@acme.example>", user=ADA, message="m\n"):
    return {
        "hash": sha,
        "message": message,
        "author": {"raw": author, "user": user},
        "links": {"html": {"href": f"{PAGE}/commits/{sha}"}},
    }


def ref(name, sha):
    return {"name": name, "target": {"hash": sha, "type": "commit"}}


def pull(**changes):
    return {
        "id": 7,
        "title": "Add a thing",
        "state": "OPEN",
        "draft": False,
        "description": "It adds one",
        "author": ADA,
        "source": {"branch": {"name": "thing"}, "commit": {"hash": NEW[:12]}, "repository": {"full_name": "acme/web"}},
        "destination": {
            "branch": {"name": "main"},
            "commit": {"hash": OLD[:12]},
            "repository": {"full_name": "acme/web"},
        },
        "links": {"html": {"href": f"{PAGE}/pull-requests/7"}},
        **changes,
    }


class TestCalls(CallsContract):
    kind = KIND


class TestCallsWithPassword(CallsContract):
    """As an API token is used: an address and the token, as Basic."""

    kind = KIND
    credential = api.Credential(
        type="user_password",
        fields={"username": api.Secret("ada@acme.example"), "password": api.Secret("t0ken-of-the-contract")},
        hosts=("127.0.0.1",),
    )


# -- ReadsRepositories


async def test_a_repository_is_what_bitbucket_says():
    async with connected() as (provider, host):
        host.on("GET", BASE, REPO)
        found = await provider.repository("Acme/Web.git")
        assert found == api.HostedRepository(
            repository=api.Repository(host=host.url.removeprefix("http://"), path="acme/web"),
            id=UUID,
            default_branch="main",
            description="The shop",
            visibility="private",
            fork=False,
            url=PAGE,
        )
        assert host.asked[-1].headers["Authorization"] == "Bearer t0ken-of-the-contract"
        host.on("GET", BASE, {"full_name": "acme/web", "is_private": False, "parent": {"full_name": "bob/web"}})
        found = await provider.repository("acme/web")
        assert (found.visibility, found.fork, found.default_branch) == ("public", True, None)
        host.on("GET", BASE, {"full_name": "acme/web"})
        found = await provider.repository("acme/web")
        assert (found.visibility, found.fork, found.archived) == (None, None, None)


async def test_what_names_no_repository_is_not_asked_for():
    async with connected() as (provider, host):
        for name in ("../etc", "acme", "a/b/c", "acme/we b"):
            with pytest.raises(api.NotFound):
                await provider.repository(name)
            with pytest.raises(api.NotFound):
                await listed(provider.members(name))
    assert host.asked == []


async def test_branches_and_tags_come_page_by_page():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/refs/branches", paged([ref("main", NEW)], [ref("feature/x", OLD)]))
        host.on("GET", f"{BASE}/refs/tags", paged([ref("v1", OLD)], [ref("v2", NEW)]))
        assert await listed(provider.branches("acme/web")) == [
            api.Branch(name="main", sha=NEW),
            api.Branch(name="feature/x", sha=OLD),
        ]
        assert await listed(provider.tags("acme/web")) == [
            api.HostedTag(name="v1", sha=OLD),
            api.HostedTag(name="v2", sha=NEW),
        ]
    assert [one.query for one in host.asked] == [{"pagelen": "100"}, {"pagelen": "100", "page": "2"}] * 2


async def test_a_page_elsewhere_is_not_fetched():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/refs/tags", {"values": [], "next": "https://bitbucket.evil.example/2.0/x"})
        with pytest.raises(api.ProviderError, match="leads away"):
            await listed(provider.tags("acme/web"))


async def test_a_ref_leads_to_a_commit():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/refs/branches/feature%2Fx", ref("feature/x", NEW))
        host.on("GET", f"{BASE}/refs/tags/v1", ref("v1", OLD))
        assert await provider.ref("acme/web", "refs/heads/feature/x") == NEW
        assert await provider.ref("acme/web", "refs/tags/v1") == OLD
        for other in ("main", "refs/pull/1/head", "refs/heads/", "refs/heads/none"):
            with pytest.raises(api.NotFound):
                await provider.ref("acme/web", other)


async def test_commits_are_listed_by_a_parameter_because_a_branch_may_have_slashes():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/commits", paged([commit(NEW)], [commit(OLD, author="Bob B", user=None)]))
        assert await listed(provider.commits("acme/web", "feature/x")) == [
            api.Commit(
                id=NEW,
                message="m\n",
                author=api.Person(name="Ada L", email="ada@acme.example"),
                url=f"{PAGE}/commits/{NEW}",
            ),
            api.Commit(id=OLD, message="m\n", author=api.Person(name="Bob B"), url=f"{PAGE}/commits/{OLD}"),
        ]
    assert [one.query["include"] for one in host.asked] == ["feature/x"] * 2


async def test_a_comparison_is_of_two_commits():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/refs/branches/main", ref("main", OLD))
        host.on("GET", f"{BASE}/refs/tags/v2", ref("v2", NEW))
        host.on("GET", f"{BASE}/commits", paged([commit(NEW)], [commit(SIDE)]))
        stats = [
            {"status": "added", "old": None, "new": {"path": "a.py"}},
            {"status": "removed", "old": {"path": "b.py"}, "new": {"path": ""}},
            {"status": "renamed", "old": {"path": "c.py"}, "new": {"path": "d.py"}},
            {"status": "merge conflict", "old": {"path": "e.py"}, "new": {"path": "e.py"}},
        ]
        host.on("GET", f"{BASE}/diffstat/{NEW}..{OLD}", paged(stats[:2], stats[2:]))
        found = await provider.compare("acme/web", "main", "v2")
    assert [one.id for one in found.commits] == [NEW, SIDE]
    assert found.files == (
        api.ChangedFile(path="a.py", status="added"),
        api.ChangedFile(path="b.py", status="removed"),
        api.ChangedFile(path="d.py", status="renamed", previous_path="c.py"),
        api.ChangedFile(path="e.py", status="modified"),
    )
    assert found.complete
    first = next(one for one in host.asked if one.path.endswith("/commits"))
    assert first.query == {"pagelen": "100", "include": NEW, "exclude": OLD}
    assert host.asked[-1].query["topic"] == "true"


async def test_a_long_comparison_is_cut_and_says_so(monkeypatch):
    monkeypatch.setattr(reading, "MOST_COMMITS", 2)
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/commits", paged([commit(NEW), commit(SIDE)], [commit(OLD)]))
        host.on("GET", f"{BASE}/diffstat/{NEW}..{OLD}", paged([]))
        found = await provider.compare("acme/web", OLD, NEW)
        assert (len(found.commits), found.complete) == (2, False)
        monkeypatch.setattr(reading, "MOST_COMMITS", 3)
        assert (await provider.compare("acme/web", OLD, NEW)).complete


async def test_a_short_commit_is_looked_up():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/commit/{NEW[:12]}", commit(NEW))
        host.on("GET", f"{BASE}/commits", paged([]))
        host.on("GET", f"{BASE}/diffstat/{NEW}..{OLD}", paged([]))
        await provider.compare("acme/web", OLD, NEW[:12])
    assert host.paths()[:3] == [
        f"GET {BASE}/refs/branches/{NEW[:12]}",
        f"GET {BASE}/refs/tags/{NEW[:12]}",
        f"GET {BASE}/commit/{NEW[:12]}",
    ]


# -- KnowsChangedPaths


async def test_changed_paths_are_of_both_commits_and_both_names():
    async with connected() as (provider, host):
        renamed = {"status": "renamed", "old": {"path": "z.py"}, "new": {"path": "b.py"}}
        added = {"status": "added", "old": {"path": ""}, "new": {"path": "a.py"}}
        host.on("GET", f"{BASE}/diffstat/{NEW}..{OLD}", paged([renamed], [added]))
        host.on("GET", f"{BASE}/diffstat/{NEW}", paged([added]))
        here = api.Repository(host="bitbucket.org", path="acme/web")
        push = api.Push(repository=here, ref="refs/heads/main", before=OLD, after=NEW)
        assert await provider.changed_paths(push) == ("a.py", "b.py", "z.py")
        assert host.asked[0].query == {"pagelen": "500", "topic": "false"}
        new = api.Push(repository=here, ref="refs/heads/x", before=None, after=NEW)
        assert await provider.changed_paths(new) == ("a.py",)
        with pytest.raises(api.NotFound):
            await provider.changed_paths(api.Push(repository=here, ref="refs/heads/x", before=OLD, after=None))


# -- ReadsChanges


@pytest.mark.parametrize(
    ("state", "word", "told"),
    [("open", "OPEN", "open"), ("merged", "MERGED", "merged"), ("closed", "SUPERSEDED", "closed")],
)
async def test_changes_are_listed_by_state(state, word, told):
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pullrequests", paged([pull(state=word)], [pull(id=8, state=word)]))
        found = await listed(provider.changes("acme/web", state))
        assert [(one.number, one.state, one.reviews) for one in found] == [(7, told, None), (8, told, None)]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("open", ["OPEN"]),
        ("merged", ["MERGED"]),
        ("closed", ["DECLINED", "SUPERSEDED"]),
        (None, ["OPEN", "MERGED", "DECLINED", "SUPERSEDED"]),
    ],
)
async def test_bitbucket_is_asked_for_the_states(state, words, monkeypatch):
    """Each in a parameter of its own, pages of 50, which is all it gives of pull requests."""
    seen = []
    at = BaseUrl.at
    monkeypatch.setattr(BaseUrl, "at", lambda *args: seen.append(at(*args)) or seen[-1])
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pullrequests", paged([]))
        assert await listed(provider.changes("acme/web", state)) == []
    (url,) = seen
    assert (url.query.getall("state"), url.query["pagelen"]) == (words, "50")


async def test_a_change_in_a_listing_has_the_digits_that_bitbucket_sends():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pullrequests", {"values": [pull()]})
        (change,) = await listed(provider.changes("acme/web", None))
        here = api.Repository(host=host.url.removeprefix("http://"), path="acme/web")
    assert change == api.HostedChange(
        repository=here,
        number=7,
        title="Add a thing",
        state="open",
        source=api.ChangeSource(repository=here, branch="thing", sha=NEW[:12]),
        target=api.ChangeTarget(branch="main", sha=OLD[:12]),
        author="ada",
        body="It adds one",
        revision=NEW[:12],
        url=f"{PAGE}/pull-requests/7",
    )


async def test_a_change_has_its_reviews_and_full_commits():
    participants = [
        {"user": ADA, "role": "PARTICIPANT", "approved": False, "state": None},
        {"user": BOB, "role": "REVIEWER", "approved": True, "state": "approved"},
        {"user": {"nickname": "cy"}, "role": "REVIEWER", "approved": False, "state": "changes_requested"},
        {"user": {"nickname": "di"}, "role": "REVIEWER", "approved": False, "state": None},
        {"user": {"nickname": "ed"}, "role": "PARTICIPANT", "approved": True},
    ]
    async with connected() as (provider, host):
        merged = {"state": "MERGED", "participants": participants, "merge_commit": {"hash": SIDE[:12]}, "draft": True}
        host.on("GET", f"{BASE}/pullrequests/7", pull(**merged))
        for sha in (OLD, NEW, SIDE):
            host.on("GET", f"{BASE}/commit/{sha[:12]}", commit(sha))
        change = await provider.change("acme/web", 7)
    assert (change.state, change.source.sha, change.target.sha, change.merge_sha) == ("merged", NEW, OLD, SIDE)
    assert (change.draft, change.revision, change.head_ref) == (True, NEW, None)
    assert change.reviews == (
        api.Review(author="bob", state="approved"),
        api.Review(author="cy", state="rejected"),
        api.Review(author="di", state="pending"),
        api.Review(author="ed", state="approved"),
    )


async def test_the_head_of_a_fork_is_looked_up_in_the_fork_and_stays_short_when_it_is_hidden():
    fork = {"branch": {"name": "x"}, "commit": {"hash": NEW[:12]}, "repository": {"full_name": "bob/web"}}
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pullrequests/7", pull(source=fork))
        host.on("GET", f"{BASE}/commit/{OLD[:12]}", commit(OLD))
        assert (await provider.change("acme/web", 7)).source.sha == NEW[:12]
        host.on("GET", f"/2.0/repositories/bob/web/commit/{NEW[:12]}", Answer(403, {"error": {"message": "no"}}))
        assert (await provider.change("acme/web", 7)).source.sha == NEW[:12]
        host.on("GET", f"/2.0/repositories/bob/web/commit/{NEW[:12]}", commit(NEW))
        change = await provider.change("acme/web", 7)
        assert (change.source.sha, change.source.repository.path) == (NEW, "bob/web")
        gone = {"branch": {"name": "x"}, "commit": {"hash": NEW}, "repository": None}
        host.on("GET", f"{BASE}/pullrequests/7", pull(source=gone, destination={"branch": {"name": "main"}}))
        change = await provider.change("acme/web", 7)
        assert (change.source.repository, change.source.sha, change.target.sha) == (None, NEW, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "PONDERING"},
        {"source": {"branch": {"name": "x"}, "commit": None}},
        {"source": {"branch": {"name": "x"}, "commit": {"hash": "main"}}},
    ],
)
async def test_a_change_that_cannot_be_meant_is_a_providers_error(changes):
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pullrequests/7", pull(**changes))
        with pytest.raises(api.ProviderError):
            await provider.change("acme/web", 7)


async def test_changed_files_come_page_by_page():
    async with connected() as (provider, host):
        one = {"status": "modified", "old": {"path": "a.py"}, "new": {"path": "a.py"}}
        other = {"status": "added", "new": {"path": "b.py"}}
        host.on("GET", f"{BASE}/pullrequests/7/diffstat", paged([one], [other]))
        assert await listed(provider.changed_files("acme/web", 7)) == [
            api.ChangedFile(path="a.py", status="modified"),
            api.ChangedFile(path="b.py", status="added"),
        ]
        host.on("GET", f"{BASE}/pullrequests/7/diffstat", paged([{"status": "modified"}]))
        with pytest.raises(api.ProviderError, match="names no file"):
            await listed(provider.changed_files("acme/web", 7))


# -- KnowsPeople, ReadsIssues, DiscoversRepositories


async def test_members_have_rights():
    path = "/2.0/workspaces/acme/permissions/repositories/web"
    async with connected() as (provider, host):
        host.on("GET", path, paged([{"permission": "admin", "user": ADA}], [{"permission": "none", "user": BOB}]))
        assert await listed(provider.members("Acme/Web")) == [
            api.Member(account="ada", role="admin", name="Ada L"),
            api.Member(account="bob", role=None, name="Bob B"),
        ]


async def test_contributors_are_counted_by_their_commits(monkeypatch):
    monkeypatch.setattr(reading, "MOST_WALKED", 4)
    bob = "Bob B <bob@acme.example>"
    async with connected() as (provider, host):
        pages = (
            [commit(NEW, author=bob, user=None), commit(OLD)],
            [commit(SIDE, author="Ada Lovelace <ADA@acme.example>"), commit("d4" * 20, author=bob), commit(NEW)],
        )
        host.on("GET", f"{BASE}/commits", paged(*pages))
        assert await listed(provider.contributors("acme/web")) == [
            api.Contributor(account=None, name="Bob B", email="bob@acme.example", commits=2),
            api.Contributor(account="ada", name="Ada L", email="ada@acme.example", commits=2),
        ]


async def test_issues_are_asked_for_by_state():
    issue = {
        "id": 3,
        "title": "It leaks",
        "state": "new",
        "kind": "bug",
        "component": {"name": "roof"},
        "reporter": ADA,
    }
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/issues", paged([issue], [{"id": 4, "title": "Old", "state": "wontfix"}]))
        assert await listed(provider.issues("acme/web")) == [
            api.Issue(number=3, title="It leaks", state="open", author="ada", labels=("bug", "roof")),
            api.Issue(number=4, title="Old", state="closed", author="former user"),
        ]
        assert host.asked[0].query["q"] == 'state="submitted" OR state="new" OR state="open" OR state="on hold"'
        await listed(provider.issues("acme/web", "closed"))
        assert host.asked[-1].query["q"].startswith('state!="submitted" AND state!="new"')
        await listed(provider.issues("acme/web", None))
        assert "q" not in host.asked[-1].query
        with pytest.raises(api.NotFound):
            await listed(provider.issues("acme/without-tracker"))


async def test_repositories_of_a_workspace_are_filtered_by_bitbucket():
    query = api.RepositoryQuery(owner="acme", project="SHOP", search='we"b', visibility="private", archived=False)
    async with connected() as (provider, host):
        host.on("GET", "/2.0/repositories/acme", paged([REPO], [{**REPO, "full_name": "acme/webshop"}]))
        found = await listed(provider.discover(query))
        assert [one.repository.path for one in found] == ["acme/web", "acme/webshop"]
        assert host.asked[0].query["q"] == 'project.key="SHOP" AND name~"we\\"b" AND is_private=true'
        await listed(provider.discover(api.RepositoryQuery(owner="acme", visibility="public")))
        assert host.asked[-1].query["q"] == "is_private=false"


async def test_without_an_owner_every_workspace_is_asked():
    async with connected() as (provider, host):
        spaces = [{"workspace": {"slug": "acme"}}], [{"workspace": {"slug": "bob"}}, {"workspace": {}}]
        host.on("GET", "/2.0/user/workspaces", paged(*spaces))
        host.on("GET", "/2.0/repositories/acme", paged([REPO]))
        host.on("GET", "/2.0/repositories/bob", paged([{**REPO, "full_name": "bob/web"}]))
        found = await listed(provider.discover(api.RepositoryQuery()))
    assert [one.repository.path for one in found] == ["acme/web", "bob/web"]
    assert "q" not in host.asked[-1].query


@pytest.mark.parametrize("query", [{"archived": True}, {"visibility": "internal"}])
async def test_what_bitbucket_does_not_have_is_not_asked_for(query):
    async with connected() as (provider, host):
        assert await listed(provider.discover(api.RepositoryQuery(**query))) == []
    assert host.asked == []


# -- ReadsCiRuns


def pipeline(number, state="COMPLETED", result="SUCCESSFUL", **target):
    told = {"ref_type": "branch", "ref_name": "main", "commit": {"hash": NEW}, **target}
    return {
        "uuid": UUID,
        "build_number": number,
        "state": {"name": state, "result": {"name": result} if result else None},
        "target": told,
        "created_on": "2026-01-05T12:00:00.123Z",
    }


def counted(*pages):
    """As pipelines list: numbers, and no link."""

    def answer(asked):
        at = int(asked.query.get("page", 1))
        values = pages[at - 1]
        return Answer(body={"values": values, "page": at, "pagelen": 2, "size": sum(len(page) for page in pages)})

    return answer


async def test_pipelines_are_counted_on_without_links():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pipelines/", counted([pipeline(5), pipeline(4)], [pipeline(3)]))
        found = await listed(provider.ci_runs("acme/web"))
        url = host.url
    assert [one.name for one in found] == ["Pipeline #5", "Pipeline #4", "Pipeline #3"]
    assert found[0] == api.CiRun(
        id=UUID,
        name="Pipeline #5",
        state="succeeded",
        sha=NEW,
        branch="main",
        started_at=datetime(2026, 1, 5, 12, 0, 0, 123000, tzinfo=UTC),
        url=f"{url}/acme/web/pipelines/results/5",
    )
    assert [one.query.get("page") for one in host.asked] == [None, "2"]
    assert host.asked[0].query["sort"] == "-created_on"


async def test_pipelines_with_links_are_followed():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pipelines/", paged([pipeline(5)], [pipeline(4)]))
        assert len(await listed(provider.ci_runs("acme/web"))) == 2


async def test_pipelines_of_a_commit_and_a_branch_are_only_those():
    """Whatever the host makes of the filters."""
    of_change = pipeline(4, ref_type=None, ref_name=None, source="thing")
    of_tag = pipeline(3, ref_type="tag", ref_name="main")
    other = pipeline(2, commit={"hash": OLD})
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pipelines/", {"values": [pipeline(5), of_change, of_tag, other]})
        assert [one.name for one in await listed(provider.ci_runs("acme/web", sha=NEW, branch="main"))] == [
            "Pipeline #5"
        ]
        assert {"target.commit.hash": NEW, "target.branch": "main"}.items() <= host.asked[-1].query.items()
        assert [one.name for one in await listed(provider.ci_runs("acme/web", branch="thing"))] == ["Pipeline #4"]


@pytest.mark.parametrize(
    ("state", "result", "told"),
    [
        ("PENDING", None, "queued"),
        ("IN_PROGRESS", None, "running"),
        ("COMPLETED", "SUCCESSFUL", "succeeded"),
        ("COMPLETED", "FAILED", "failed"),
        ("COMPLETED", "ERROR", "failed"),
        ("COMPLETED", "STOPPED", "cancelled"),
        ("COMPLETED", "EXPIRED", "cancelled"),
        ("COMPLETED", "NEW_WORD", "unknown"),
        ("NEW_WORD", None, "unknown"),
    ],
)
async def test_states_of_pipelines(state, result, told):
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pipelines/", {"values": [pipeline(1, state, result)]})
        (run,) = await listed(provider.ci_runs("acme/web"))
    assert run.state == told


async def test_steps_are_the_jobs_of_a_pipeline():
    steps = [
        {"uuid": "{1}", "name": "Test", "state": {"name": "COMPLETED", "result": {"name": "NOT_RUN"}}},
        {"uuid": "{2}", "state": None},
    ]
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pipelines/{QUOTED}/steps/", {"values": steps})
        start = f"{host.url}/acme/web/pipelines/results/{QUOTED}/steps"
        assert await listed(provider.ci_jobs("acme/web", UUID)) == [
            api.CiJob(id="{1}", name="Test", state="skipped", url=f"{start}/%7B1%7D"),
            api.CiJob(id="{2}", name="step", state="unknown", url=f"{start}/%7B2%7D"),
        ]


# -- ReadsFiles


def blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def serve_file(host, path, content, *, at=OLD, kind="commit_file", attributes=()):
    """A file as Bitbucket has it: what it is with `format=meta`, its bytes without."""
    host.on(
        "GET",
        f"{BASE}/src/{at}/{path}",
        lambda asked: (
            Answer(body={"type": kind, "path": path, "attributes": list(attributes)})
            if asked.query.get("format") == "meta"
            else Answer(body=content, headers={"Content-Type": "text/plain"})
        ),
    )


async def test_a_file_is_read_at_the_commit_of_its_branch():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/refs/branches/feature%2Fx", ref("feature/x", OLD))
        serve_file(host, "docs/a%20b.md", b"\x00\xff\n")
        found = await provider.read_file("acme/web", "docs/a b.md", "feature/x")
    assert found == api.FileContent(path="docs/a b.md", content=b"\x00\xff\n", revision=blob(b"\x00\xff\n"))


async def test_gits_own_id_of_the_empty_file():
    """A value that everybody can check: git hash-object /dev/null."""
    async with connected() as (provider, host):
        serve_file(host, "a", b"")
        assert (await provider.read_file("acme/web", "a", OLD)).revision == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


@pytest.mark.parametrize(("kind", "attributes"), [("commit_directory", ()), ("commit_file", ("subrepository",))])
async def test_a_folder_is_a_conflict(kind, attributes):
    async with connected() as (provider, host):
        serve_file(host, "src", b"{}", kind=kind, attributes=attributes)
        with pytest.raises(api.Conflict, match="not a file"):
            await provider.read_file("acme/web", "src", OLD)


@pytest.mark.parametrize("path", ["../../secrets", "a//b", "a/../b", "", "/a"])
async def test_a_path_that_climbs_is_not_found(path):
    async with connected() as (provider, host):
        with pytest.raises(api.ProviderError):
            await provider.read_file("acme/web", path, OLD)
        assert not [one for one in host.asked if "secrets" in one.path]


# -- WritesFiles


def parts(asked):
    """The fields of a multipart request, as a server reads them."""
    head = f"Content-Type: {asked.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + asked.body, policy=email.policy.HTTP)
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_param("x-attributes", header="content-disposition"),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


def made(sha):
    return Answer(201, b"", {"Location": f"https://api.bitbucket.org/2.0/repositories/acme/web/commit/{sha}"})


async def test_several_files_are_one_commit_on_the_head_that_was_looked_at():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/refs/branches/main", ref("main", OLD))
        serve_file(host, "run.sh", b"old\n", attributes=("executable",))
        serve_file(host, "gone.md", b"gone\n")
        host.on("POST", f"{BASE}/src", made(NEW))
        changes = (
            api.FileChange(path="run.sh", content=b"new\r\n--x\n\xff", revision=blob(b"old\n")),
            api.FileChange(path='docs/a "b".md', content=b"fresh"),
            api.FileChange(path="gone.md", content=None, revision=blob(b"gone\n")),
        )
        sha = await provider.commit_files(
            "acme/web", api.FileCommit(branch="main", message="Änder\nall", changes=changes, head=OLD)
        )
        asked = host.asked[-1]
    assert sha == NEW
    assert parts(asked) == [
        ("message", None, None, "Änder\nall".encode()),
        ("branch", None, None, b"main"),
        ("parents", None, None, OLD.encode()),
        ("files", None, None, b"/gone.md"),
        ("/run.sh", "run.sh", "executable", b"new\r\n--x\n\xff"),
        ("/docs/a %22b%22.md", "a %22b%22.md", None, b"fresh"),
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (api.FileChange(path="a", content=b"new", revision=blob(b"before")), "is now"),
        (api.FileChange(path="a", content=None, revision=blob(b"before")), "is now"),
        (api.FileChange(path="a", content=b"new"), "is there already"),
        (api.FileChange(path="a", content=None), "is there already"),
        (api.FileChange(path="none", content=b"new", revision=blob(b"old")), "not there any more"),
        (api.FileChange(path="none", content=None, revision=blob(b"old")), "not there any more"),
        (api.FileChange(path="none", content=None), "is not there"),
    ],
)
async def test_a_guard_that_does_not_hold_is_a_conflict_and_nothing_is_written(change, why):
    fine = api.FileChange(path="new", content=b"fine")
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/refs/branches/main", ref("main", OLD))
        serve_file(host, "a", b"old")
        host.on("POST", f"{BASE}/src", made(NEW))
        with pytest.raises(api.Conflict, match=why):
            await provider.commit_files("acme/web", api.FileCommit(branch="main", message="m", changes=(fine, change)))
    assert not [one for one in host.asked if one.method == "POST"]


async def test_a_branch_that_moved_is_a_conflict_before_and_after_the_look():
    commit_ = api.FileCommit(branch="main", message="m", changes=(api.FileChange(path="new", content=b""),), head=NEW)
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/refs/branches/main", ref("main", OLD))
        with pytest.raises(api.Conflict, match=f"at {OLD}, not at {NEW}"):
            await provider.commit_files("acme/web", commit_)
        host.on("GET", f"{BASE}/refs/branches/main", ref("main", NEW))
        host.on("POST", f"{BASE}/src", Answer(409, {"type": "error", "error": {"message": "stale parent"}}))
        with pytest.raises(api.Conflict, match="stale parent"):
            await provider.commit_files("acme/web", commit_)
        assert len([one for one in host.asked if one.method == "POST"]) == 1, "a POST is not repeated"


async def test_without_a_location_the_commit_is_found_by_its_parent():
    change = api.FileCommit(branch="main", message="m", changes=(api.FileChange(path="new", content=b""),))
    for parent, fits in ((OLD, True), (SIDE, False)):
        async with connected() as (provider, host):
            host.on("GET", f"{BASE}/refs/branches/main", ref("main", OLD), ref("main", NEW))
            host.on("GET", f"{BASE}/commit/{NEW}", {**commit(NEW), "parents": [{"hash": parent}]})
            host.on("POST", f"{BASE}/src", Answer(201, b""))
            if fits:
                assert await provider.commit_files("acme/web", change) == NEW
            else:
                with pytest.raises(api.ProviderError, match="did not say which"):
                    await provider.commit_files("acme/web", change)


async def test_a_branch_is_made_at_a_commit():
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/refs/branches", Answer(201, ref("feature/x", OLD)))
        await provider.create_branch("acme/web", "feature/x", OLD)
        assert host.asked[-1].json() == {"name": "feature/x", "target": {"hash": OLD}}
        refusal = {"type": "error", "error": {"message": 'Branch "feature/x" already exists.'}}
        host.on("POST", f"{BASE}/refs/branches", Answer(400, refusal))
        with pytest.raises(api.Conflict, match="already exists"):
            await provider.create_branch("acme/web", "feature/x", OLD)


# -- WritesChanges

NEW_CHANGE = api.NewChange(title="Add a thing", source="thing", target="main", body="It adds one", draft=True)


async def test_a_change_is_opened():
    async with connected() as (provider, host):
        from_fork = pull(source={**pull()["source"], "repository": {"full_name": "bob/web"}})
        host.on("GET", f"{BASE}/pullrequests", paged([from_fork], [pull(destination={"branch": {"name": "next"}})]))
        host.on("POST", f"{BASE}/pullrequests", Answer(201, pull(draft=True)))
        change = await provider.open_change("acme/web", NEW_CHANGE)
        assert (change.number, change.draft, change.source.branch) == (7, True, "thing")
        assert host.asked[-1].json() == {
            "type": "pullrequest",
            "title": "Add a thing",
            "description": "It adds one",
            "source": {"branch": {"name": "thing"}},
            "destination": {"branch": {"name": "main"}},
            "draft": True,
        }


async def test_a_second_change_between_two_branches_is_a_conflict():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pullrequests", paged([pull()]))
        with pytest.raises(api.Conflict, match="pull request 7 is open"):
            await provider.open_change("acme/web", NEW_CHANGE)
    assert host.paths() == [f"GET {BASE}/pullrequests"]


async def test_a_change_of_nothing_is_a_conflict():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pullrequests", paged([]))
        refusal = {"type": "error", "error": {"message": "There are no changes to be pulled"}}
        host.on("POST", f"{BASE}/pullrequests", Answer(400, refusal))
        with pytest.raises(api.Conflict, match="no changes to be pulled"):
            await provider.open_change("acme/web", NEW_CHANGE)


@pytest.mark.parametrize(
    ("method", "strategy"),
    [("merge", "merge_commit"), ("squash", "squash"), ("rebase", "rebase_fast_forward")],
)
async def test_a_change_is_merged_when_its_head_is_the_one_that_was_seen(method, strategy):
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pullrequests/7", pull())
        host.on("POST", f"{BASE}/pullrequests/7/merge", pull(state="MERGED", merge_commit={"hash": SIDE[:12]}))
        host.on("GET", f"{BASE}/commit/{SIDE[:12]}", commit(SIDE))
        assert await provider.merge_change("acme/web", 7, sha=NEW, method=method) == SIDE
        (posted,) = [one for one in host.asked if one.method == "POST"]
    assert posted.json() == {"type": "pullrequest_merge_parameters", "merge_strategy": strategy}


async def test_a_merge_whose_commit_is_not_told_at_once():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pullrequests/7", pull())
        host.on("POST", f"{BASE}/pullrequests/7/merge", pull(state="MERGED"))
        assert await provider.merge_change("acme/web", 7, sha=NEW) is None


@pytest.mark.parametrize(
    ("now", "sha", "why"),
    [
        ({}, OLD, f"is {NEW[:12]}, not {OLD}"),
        ({"state": "MERGED"}, NEW, "is merged"),
        ({"state": "DECLINED"}, NEW, "is closed"),
    ],
)
async def test_a_change_that_is_not_as_it_was_seen_is_not_merged(now, sha, why):
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pullrequests/7", pull(**now))
        with pytest.raises(api.Conflict, match=why):
            await provider.merge_change("acme/web", 7, sha=sha)
    assert not [one for one in host.asked if one.method == "POST"]


@pytest.mark.parametrize(("status", "error"), [(409, api.Conflict), (400, api.Conflict), (555, api.Unavailable)])
async def test_a_merge_that_fails_is_not_tried_again(status, error):
    """555: it took too long, and may yet happen."""
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pullrequests/7", pull())
        host.on("POST", f"{BASE}/pullrequests/7/merge", Answer(status, {"error": {"message": "conflicts"}}))
        with pytest.raises(error):
            await provider.merge_change("acme/web", 7, sha=NEW)
    assert len([one for one in host.asked if one.method == "POST"]) == 1


# -- ManagesHooks

HOOK = {
    "uuid": UUID,
    "url": "https://ci.acme.example/webhooks/acme",
    "events": ["repo:push"],
    "active": True,
    "secret_set": True,
    "skip_cert_verification": False,
}
FOUND = api.Hook(
    id=UUID, url=HOOK["url"], events=("repo:push",), active=True, has_secret=True, verifies_tls=True, healthy=None
)


async def test_hooks_come_page_by_page():
    async with connected() as (provider, host):
        old = {"uuid": "{2}", "url": "https://old.example", "active": False, "secret_set": False}
        host.on("GET", f"{BASE}/hooks", paged([HOOK], [old]))
        assert await listed(provider.hooks("acme/web")) == [
            FOUND,
            api.Hook(id="{2}", url="https://old.example", active=False, has_secret=False),
        ]


async def test_a_hook_is_made_signed_and_active():
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/hooks", Answer(201, HOOK))
        assert await provider.create_hook("acme/web", api.WantedHook(url=HOOK["url"])) == FOUND
        assert host.asked[-1].json() == {
            "description": "Headgate",
            "url": HOOK["url"],
            "active": True,
            "skip_cert_verification": False,
            "events": list(provider.hook_events()),
            "secret": "hook secret",
        }


async def test_a_hook_is_changed_with_its_secret():
    wanted = api.WantedHook(url=HOOK["url"], secret=api.Secret("another"), events=("repo:push",))
    async with connected() as (provider, host):
        host.on("PUT", f"{BASE}/hooks/{QUOTED}", HOOK)
        assert await provider.update_hook("acme/web", UUID, wanted) == FOUND
        sent = host.asked[-1].json()
    assert (sent["secret"], sent["events"], sent["active"]) == ("another", ["repo:push"], True)


async def test_a_hook_that_is_gone_is_no_error():
    async with connected() as (provider, host):
        host.on("DELETE", f"{BASE}/hooks/{QUOTED}", Answer(204, b""))
        await provider.delete_hook("acme/web", UUID)
        await provider.delete_hook("acme/web", "{gone}")
        host.on("DELETE", f"{BASE}/hooks/{QUOTED}", Answer(403, {"error": {"message": "no"}}))
        with pytest.raises(api.Refused):
            await provider.delete_hook("acme/web", UUID)


async def test_without_secrets_a_hook_is_made_without():
    def unsigned(url):
        return {"base_url": url, "accept_unsigned": api.ACCEPT_UNSIGNED, "credential": "secret://contract/api"}

    async with calling(KIND, unsigned) as (provider, host):
        host.on("POST", f"{BASE}/hooks", Answer(201, HOOK))
        await provider.create_hook("acme/web", api.WantedHook(url=HOOK["url"]))
        assert "secret" not in host.asked[-1].json()


async def test_the_events_of_a_hook_are_those_that_are_read():
    async with connected() as (provider, _):
        assert {"repo:push", "pullrequest:created", "repo:commit_status_updated"} <= set(provider.hook_events())
        for event in provider.hook_events():
            delivery = api.Delivery(
                id="d", connection="c", received_at=NOW, headers=(("x-event-key", event),), body=b"{}"
            )
            with pytest.raises(api.Unreadable):  # for want of a body: an unknown event would be ignored
                provider.parse(delivery)


# -- ReportsStatus

REPOSITORY = api.Repository(host="bitbucket.org", path="Acme/Web")


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("queued", "INPROGRESS"),
        ("running", "INPROGRESS"),
        ("succeeded", "SUCCESSFUL"),
        ("failed", "FAILED"),
        ("errored", "FAILED"),
        ("cancelled", "STOPPED"),
    ],
)
async def test_a_status_is_posted_beside_its_commit(state, word):
    status = api.CommitStatus(context="headgate/web", state=state, description="x" * 300, url="https://ci.example/b/1")
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/commit/{NEW}/statuses/build", Answer(201, {"key": "headgate/web"}))
        await provider.report_status(REPOSITORY, NEW, status)
        assert host.asked[-1].json() == {
            "type": "build",
            "key": "headgate/web",
            "state": word,
            "name": "headgate/web",
            "description": "x" * 254 + "…",
            "url": "https://ci.example/b/1",
        }


async def test_a_status_without_a_page_leads_to_its_commit():
    """Bitbucket wants one."""
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/commit/{NEW}/statuses/build", Answer(201, {}))
        await provider.report_status(REPOSITORY, NEW, api.CommitStatus(context="web", state="running", description=""))
        assert host.asked[-1].json()["url"] == f"{host.url}/acme/web/commits/{NEW}"


async def test_a_status_is_not_waited_for_and_may_be_told_again():
    status = api.CommitStatus(context="web", state="running", description="")
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/commit/{NEW}/statuses/build", Answer(429, {}, {"Retry-After": "5"}))
        with pytest.raises(api.RateLimited):
            await provider.report_status(REPOSITORY, NEW, status)
        assert len(host.asked) == 1
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/commit/{NEW}/statuses/build", Answer(503, {}), Answer(200, {}))
        await provider.report_status(REPOSITORY, NEW, status)
        assert len(host.asked) == 2


def test_a_key_has_forty_characters_at_most_and_is_of_one_context():
    keys = {writing.status_key(f"{'x' * 50}{number}") for number in range(50)}
    assert len(keys) == 50
    assert {len(key) for key in keys} == {40}
    assert writing.status_key("x" * 40) == "x" * 40


# -- TestsConnection, limits and refusals


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [
        ("account, repository:write, webhook", ()),
        ("account, pullrequest", ()),
        ("read:user:bitbucket, read:repository:bitbucket", ()),
        ("account, webhook", ("repository",)),
        (None, ()),
    ],
)
async def test_the_test_reports_user_scopes_and_what_is_missing(scopes, missing):
    async with connected() as (provider, host):
        headers = {} if scopes is None else {"X-OAuth-Scopes": scopes}
        host.on("GET", "/2.0/user", Answer(200, {**ADA, "username": "ada.l"}, headers))
        found = await provider.test_connection()
    assert (found.user, found.missing) == ("ada.l", missing)
    assert found.scopes == (tuple(sorted(scopes.split(", "))) if scopes else ())


def refusal(granted, required):
    detail = {"granted": granted, "required": required}
    words = "Your credentials lack one or more required privilege scopes."
    return Answer(403, {"type": "error", "error": {"message": words, "detail": detail}})


async def test_a_token_that_may_not_say_whose_it_is_is_good_all_the_same():
    """Access tokens of a repository seldom have the scope."""
    async with connected() as (provider, host):
        host.on("GET", "/2.0/user", refusal(["repository"], ["account"]))
        found = await provider.test_connection()
        assert (found.user, found.missing) == (None, ())
        assert "account" in found.message
        for other in (
            refusal([], ["webhook"]),
            Answer(401, {"error": {"message": "bad token"}}),
            Answer(403, b"<html>"),
        ):
            host.on("GET", "/2.0/user", other)
            with pytest.raises(api.Refused):
                await provider.test_connection()


async def test_a_refusal_names_the_missing_scope():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/hooks", refusal(["repository"], ["repository", "webhook"]))
        with pytest.raises(api.Refused) as caught:
            await listed(provider.hooks("acme/web"))
        assert caught.value.missing == ("webhook",)
        headers = {"X-OAuth-Scopes": "repository", "X-Accepted-OAuth-Scopes": "webhook"}
        host.on("GET", f"{BASE}/hooks", Answer(403, {"error": {"message": "no"}}, headers))
        with pytest.raises(api.Refused) as caught:
            await listed(provider.hooks("acme/web"))
        assert caught.value.missing == ("webhook",)


async def test_near_its_limit_bitbucket_is_asked_one_at_a_time():
    """It says so in a header; how the client queues is shown in its own tests."""
    headers = {"x-ratelimit-nearlimit": "true"}
    budget = bitbucket.client.DIALECT.limits.budget(headers, datetime(2026, 1, 5, tzinfo=UTC))
    assert budget.near
    assert not bitbucket.client.DIALECT.limits.budget({"x-ratelimit-nearlimit": "false"}, budget.reset_at).near


# -- Bitbucket's own description

STORIES = [
    story
    for name, story in list(globals().items())
    if name.startswith("test_") and inspect.iscoroutinefunction(story) and not inspect.signature(story).parameters
]

EVERYWHERE = {"page", "pagelen"}
"""Parameters of all listings, told in prose: https://developer.atlassian.com/cloud/bitbucket/rest/intro/#pagination"""

AT = "/repositories/{workspace}/{repo_slug}"
TEAMS = "the description is of 2020, and still has teams instead of workspaces"
PROSE = "told in the operation's prose or in the introduction (filtering, sorting)"
LATER = "the description of 2020 is older"
NO_BODIES = "the description has no body for it, the prose an example with one"

# What the description does not know of our requests, and why they are made all the same.
NEWER = {
    "GET /2.0/user/workspaces is not described": LATER,
    "GET /2.0/workspaces/acme/permissions/repositories/web is not described": TEAMS,
    f"GET {AT}/commits: no parameter exclude": PROSE,
    f"GET {AT}/commits: no parameter include": PROSE,
    f"GET {AT}/diffstat/{{spec}}: no parameter topic": LATER,
    f"GET {AT}/issues: no parameter q": PROSE,
    f"GET {AT}/pipelines/: no parameter sort": PROSE,
    f"GET {AT}/pipelines/: no parameter target.branch": LATER,
    f"GET {AT}/pipelines/: no parameter target.commit.hash": LATER,
    "GET /repositories/{workspace}: no parameter q": PROSE,
    f"POST {AT}/hooks: takes no JSON": NO_BODIES,
    f"PUT {AT}/hooks/{{uid}}: takes no JSON": NO_BODIES,
    f"POST {AT}/refs/branches: takes no JSON": NO_BODIES,
    f"POST {AT}/pullrequests: body: no key description": "an example of the prose has it",
    f"POST {AT}/pullrequests: body: no key draft": LATER,
}


def known():
    return description("bitbucket-cloud.openapi.yml", base="/2.0", several=frozenset({"path"}))


def problems(method, path, query=(), body=None):
    return set(known().problems(method, path, set(query) - EVERYWHERE, body)) - NEWER.keys()


@pytest.mark.corpus
async def test_every_request_is_one_that_bitbucket_describes():
    TOLD.clear()
    for story in STORIES:
        await story()
    found, unknown, operations = set(), set(), set()
    for one in TOLD:
        body = one.json() if one.headers.get("Content-Type") == "application/json" else None
        found |= set(known().problems(one.method, one.path, one.query, body))
        unknown |= problems(one.method, one.path, one.query, body)
        operations.add((one.method, (known().operation(one.method, one.path) or ("",))[0]))
    assert not unknown, "\n".join(sorted(unknown))
    assert found >= NEWER.keys(), f"described by now, or not asked: {NEWER.keys() - found}"
    assert len(operations) > 25


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "/repositories/acme/web/refs/leaves", {}, None),
        ("DELETE", "/repositories/acme/web/refs/branches", {}, None),
        ("GET", "/repositories/acme/web/refs/branches", {"per_page": "3"}, None),
        ("POST", "/repositories/acme/web/commit/a/statuses/build", {}, {"type": "build", "state": "DONE"}),
        ("POST", "/repositories/acme/web/pullrequests/7/merge", {}, {"merge_strategy": "squash"}),
    ],
)
def test_control_a_request_that_bitbucket_does_not_describe_is_noticed(method, path, query, body):
    assert problems(method, "/2.0" + path, query, body)


async def test_a_consumers_tokens_are_renewed_at_the_site_and_serve_the_api_and_git():
    fields = {name: api.Secret(f"{name} 1") for name in ("client_id", "client_secret", "refresh_token")}
    oauth = api.Credential(type="oauth", fields=fields, hosts=("127.0.0.1",))
    async with calling(KIND, CallsContract().options, credential=oauth) as (provider, host):
        host.on(
            "POST", "/site/oauth2/access_token", {"access_token": "acc-1", "token_type": "bearer", "expires_in": 7200}
        )
        host.on("GET", "/2.0/user", {"nickname": "ada"})
        assert (await provider.test_connection()).user == "ada"
        source = await provider.clone_source("acme/web")
        assert (source.username, source.credential.text().reveal()) == ("x-token-auth", "acc-1")
        assert host.asked[-1].headers["Authorization"] == "Bearer acc-1"
        assert host.paths() == ["POST /site/oauth2/access_token", "GET /2.0/user"]
