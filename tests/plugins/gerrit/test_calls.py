"""What Gerrit is asked, and how its answers are read: the contract of all calls, then each of them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json

import pytest

from headgate import api
from headgate.api.testing.calls import Answer, CallsContract, calling
from headgate_plugins import gerrit
from headgate_plugins.gerrit import reading as reading_module
from headgate_plugins.gerrit.answers import LoggedCommit, TreeDiff
from headgate_plugins.gerrit.reading import changed_by
from headgate_plugins.gerrit.writing import DEFAULT_VOTES, lowest, text_of

KIND = next(iter(gerrit.headgate_providers()))
PASSWORD = api.Credential(
    type="user_password",
    fields={"username": api.Secret("ci"), "password": api.Secret("t0ken-of-the-contract")},
    hosts=("127.0.0.1",),
)
A, B, C = "a1" * 20, "b2" * 20, "c3" * 20


def magic(value):
    """JSON as Gerrit sends it. https://gerrit-review.googlesource.com/Documentation/rest-api.html#output"""
    return Answer(200, b")]}'\n" + json.dumps(value).encode(), {"Content-Type": "application/json; charset=UTF-8"})


def options(url, **more):
    return {
        "base_url": url,
        "webhook_secrets": ["secret://contract/hook"],
        "credential": "secret://contract/api",
        **more,
    }


class TestContract(CallsContract):
    kind = KIND
    credential = PASSWORD


@contextlib.asynccontextmanager
async def opened(answers=None, **more):
    async with calling(KIND, lambda url: options(url, **more), credential=PASSWORD) as (provider, host):
        for (method, path), answer in (answers or {}).items():
            many = answer if isinstance(answer, list) and answer and isinstance(answer[0], Answer) else [answer]
            host.on(method, path, *[one if isinstance(one, Answer) or callable(one) else magic(one) for one in many])
        yield provider, host


async def listed(listing):
    return [one async for one in listing]


WEB = "/a/projects/acme%2Fweb"


async def test_a_project():
    project = {"id": "acme%2Fweb", "name": "acme/web", "description": "The shop", "state": "READ_ONLY"}
    async with opened({("GET", WEB): project, ("GET", f"{WEB}/HEAD"): "refs/heads/main"}) as (provider, host):
        found = await provider.repository("acme/web.git")
        name = api.host_of(host.url)
        assert found == api.HostedRepository(
            repository=api.Repository(host=name, path="acme/web"),
            id="acme%2Fweb",
            default_branch="main",
            description="The shop",
            archived=True,
            url=f"{host.url}/admin/repos/acme/web",
        )
        assert host.paths() == [f"GET {WEB}", f"GET {WEB}/HEAD"]
        assert (
            host.asked[0].headers["Authorization"] == "Basic " + base64.b64encode(b"ci:t0ken-of-the-contract").decode()
        )


@pytest.mark.parametrize("status", [403, 404])
async def test_a_project_whose_head_we_may_not_see_has_no_known_default_branch(status):
    async with opened({("GET", WEB): {"id": "acme%2Fweb"}, ("GET", f"{WEB}/HEAD"): Answer(status)}) as (provider, _):
        assert (await provider.repository("acme/web")).default_branch is None


async def test_without_a_credential_it_asks_as_anybody():
    def anonymous(url):
        return {"base_url": url, "webhook_secrets": ["secret://contract/hook"]}

    async with calling(KIND, anonymous) as (provider, host):
        host.on("GET", "/projects/web", magic({"id": "web"}))
        await provider.repository("web")
        assert "Authorization" not in host.asked[0].headers


async def test_below_a_path_of_its_own():
    async with calling(KIND, lambda url: options(f"{url}/r"), credential=PASSWORD) as (provider, host):
        host.on("GET", "/r/a/projects/web", magic({"id": "web"}))
        assert (await provider.repository("web")).url == f"{host.url}/r/admin/repos/web"


async def test_a_token_alone_is_refused_with_what_is_wanted():
    async with calling(KIND, options) as (provider, host):
        with pytest.raises(api.CredentialError, match="user_password"):
            await provider.repository("web")
        assert host.asked == []


def pages(*items):
    """Two pages of a listing that is skipped through: a full one and the rest."""
    return [magic(list(items[:100])), magic(list(items[100:]))]


async def test_branches_over_two_pages():
    branches = [{"ref": f"refs/heads/b{number}", "revision": A} for number in range(99)]
    listing = [{"ref": "HEAD", "revision": "main"}, *branches, {"ref": "refs/meta/config", "revision": B}]
    listing.append({"ref": "refs/heads/dev/x", "revision": C})
    async with opened({("GET", f"{WEB}/branches/"): pages(*listing)}) as (provider, host):
        found = await listed(provider.branches("acme/web"))
        assert [one.query for one in host.asked] == [{"n": "100", "S": "0"}, {"n": "100", "S": "100"}]
    assert len(found) == 100
    assert found[-1] == api.Branch(name="dev/x", sha=C)


async def test_tags_over_two_pages_lead_to_commits():
    listing = [{"ref": f"refs/tags/v{number}", "revision": A} for number in range(100)]
    listing.append({"ref": "refs/tags/signed", "revision": A, "object": B, "message": "signed"})
    async with opened({("GET", f"{WEB}/tags/"): pages(*listing)}) as (provider, _):
        found = await listed(provider.tags("acme/web"))
    assert len(found) == 101
    assert found[-1] == api.HostedTag(name="signed", sha=B)


async def test_refs():
    answers = {
        ("GET", f"{WEB}/branches/dev%2Fx"): {"ref": "refs/heads/dev/x", "revision": A},
        ("GET", f"{WEB}/tags/v1"): {"ref": "refs/tags/v1", "revision": A, "object": B},
        ("GET", "/a/changes/acme%2Fweb~1234/revisions/2/commit"): {"commit": C},
    }
    async with opened(answers) as (provider, _):
        assert await provider.ref("acme/web", "refs/heads/dev/x") == A
        assert await provider.ref("acme/web", "refs/tags/v1") == B
        assert await provider.ref("acme/web", "refs/changes/34/1234/2") == C
        for other in ("refs/notes/x", "main", "refs/changes/34/1234/meta"):
            with pytest.raises(api.NotFound):
                await provider.ref("acme/web", other)


GITILES = "/a/plugins/gitiles/acme/web"


def logged(sha, message="m", diff=None, parents=(B,)):
    entry = {"commit": sha, "tree": C, "parents": list(parents), "message": message}
    entry["author"] = {"name": "Ada", "email": "ada@acme.example", "time": "Mon Jan 05 12:00:00 2026 +0000"}
    if diff is not None:
        entry["tree_diff"] = [{"type": kind, "old_path": old, "new_path": new} for kind, old, new in diff]
    return entry


async def test_commits_over_two_pages():
    answers = {
        ("GET", f"{WEB}/branches/main"): {"ref": "refs/heads/main", "revision": A},
        ("GET", f"{GITILES}/+log/{A}"): [
            magic({"log": [logged(A), logged(B)], "next": C}),
            magic({"log": [logged(C)]}),
        ],
    }
    async with opened(answers) as (provider, host):
        found = await listed(provider.commits("acme/web", "main"))
        assert [one.query for one in host.asked[1:]] == [
            {"format": "JSON", "n": "100"},
            {"format": "JSON", "n": "100", "s": C},
        ]
    assert [one.id for one in found] == [A, B, C]
    assert found[0] == api.Commit(id=A, message="m", author=api.Person(name="Ada", email="ada@acme.example"))


async def test_what_is_read_of_a_name_is_a_branch_or_a_tag_and_nothing_else():
    """`main^{tree}` or `a..b` would be an expression to git."""
    answers = {
        ("GET", f"{WEB}/tags/v1"): {"ref": "refs/tags/v1", "revision": A},
        ("GET", f"{GITILES}/+log/{A}"): {"log": []},
    }
    async with opened(answers) as (provider, host):
        assert await listed(provider.commits("acme/web", "v1")) == []
        with pytest.raises(api.NotFound):
            await listed(provider.commits("acme/web", "main..other"))
        assert not [path for path in host.paths() if "gitiles" in path and ".." in path]


async def test_a_comparison():
    second = logged(A, "second", [("modify", "a.py", "a.py"), ("rename", "old", "new"), ("delete", "tmp", "/dev/null")])
    first = logged(C, "first", [("add", "/dev/null", "tmp"), ("add", "/dev/null", "b.py"), ("modify", "b.py", "b.py")])
    answers = {("GET", f"{GITILES}/+log/{B}..{A}"): {"log": [second, first]}}
    async with opened(answers) as (provider, host):
        found = await provider.compare("acme/web", B, A)
        assert host.asked[0].query["name-status"] == "1"
    assert [one.id for one in found.commits] == [A, C]
    assert [(one.path, one.status) for one in found.files] == [
        ("a.py", "modified"),
        ("b.py", "added"),
        ("new", "added"),
        ("old", "removed"),
    ]
    assert found.complete


async def test_a_comparison_with_a_merge_or_too_much_is_not_complete(monkeypatch):
    merge = logged(A, "merge", [], parents=(B, C))
    async with opened({("GET", f"{GITILES}/+log/{B}..{A}"): {"log": [merge]}}) as (provider, _):
        assert not (await provider.compare("acme/web", B, A)).complete
    monkeypatch.setattr(reading_module, "MOST_COMPARED", 1)
    long = {"log": [logged(A, diff=[]), logged(C, diff=[])]}
    async with opened({("GET", f"{GITILES}/+log/{B}..{A}"): long}) as (provider, _):
        found = await provider.compare("acme/web", B, A)
    assert (len(found.commits), found.complete) == (1, False)


@pytest.mark.parametrize(
    ("oldest_first", "files"),
    [
        ([("add", "", "x")], {"x": "added"}),
        ([("add", "", "x"), ("delete", "x", "")], {}),
        ([("delete", "x", ""), ("add", "", "x")], {"x": "modified"}),
        ([("modify", "x", "x"), ("delete", "x", "")], {"x": "removed"}),
        ([("rename", "x", "y"), ("rename", "y", "x")], {"x": "modified"}),
        ([("copy", "x", "y")], {"y": "added"}),
    ],
)
def test_what_several_commits_changed_all_in_all(oldest_first, files):
    log = [
        LoggedCommit(commit=A, tree_diff=[TreeDiff(type=kind, old_path=old, new_path=new)])
        for kind, old, new in reversed(oldest_first)
    ]
    assert {one.path: one.status for one in changed_by(log)} == files


# -- discovery


async def test_discovery_over_two_pages():
    first = {f"acme/p{number}": {"id": f"acme%2Fp{number}", "state": "ACTIVE"} for number in range(99)}
    first["acme/last"] = {"id": "acme%2Flast", "state": "ACTIVE", "_more_projects": True}
    second = {"acme/web": {"id": "acme%2Fweb", "description": "The shop", "state": "READ_ONLY"}}
    async with opened({("GET", "/a/projects/"): [magic(first), magic(second)]}) as (provider, host):
        found = await listed(provider.discover(api.RepositoryQuery()))
        assert [one.query for one in host.asked] == [
            {"d": "", "type": "CODE", "n": "100", "S": "0"},
            {"d": "", "type": "CODE", "n": "100", "S": "100"},
        ]
    assert len(found) == 101
    assert (found[-1].repository.path, found[-1].archived, found[-1].description) == ("acme/web", True, "The shop")


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ({"owner": "acme"}, {"p": "acme/"}),
        ({"owner": "acme", "project": "shop"}, {"p": "acme/shop/"}),
        ({"search": "WEB"}, {"m": "WEB"}),
        ({"owner": "acme", "search": "WEB"}, {"p": "acme/"}),
        ({"archived": True}, {"state": "READ_ONLY"}),
        ({"archived": False}, {"state": "ACTIVE"}),
    ],
)
async def test_what_is_asked_to_discover(query, asked):
    projects = {"acme/web": {"id": "acme%2Fweb"}, "acme/api": {"id": "acme%2Fapi"}}
    async with opened({("GET", "/a/projects/"): projects}) as (provider, host):
        found = await listed(provider.discover(api.RepositoryQuery(**query)))
        sent = host.asked[0].query
    assert {key: value for key, value in sent.items() if key not in {"d", "type", "n", "S"}} == asked
    names = ["acme/web", "acme/api"] if "search" not in query else ["acme/web"]
    assert [one.repository.path for one in found] == names


async def test_who_may_see_a_project_is_not_told():
    async with opened() as (provider, host):
        with pytest.raises(api.ProviderError, match="visibility"):
            await listed(provider.discover(api.RepositoryQuery(visibility="private")))
        assert host.asked == []


# -- files


async def test_a_file_at_a_branch():
    answers = {
        ("GET", f"{WEB}/branches/main"): {"ref": "refs/heads/main", "revision": A},
        ("GET", f"{WEB}/commits/{A}/files/src%2Fa.py/content"): Answer(
            200, base64.b64encode(b"\x00\xffprint()"), {"Content-Type": "text/plain"}
        ),
    }
    async with opened(answers) as (provider, _):
        found = await provider.read_file("acme/web", "src/a.py", "main")
    assert found == api.FileContent(path="src/a.py", content=b"\x00\xffprint()", revision=A)


async def test_no_file_a_folder_and_what_is_no_base64():
    answers = {
        ("GET", f"{GITILES}/+/{A}/src"): {"id": B, "entries": [{"name": "a.py"}]},
        ("GET", f"{WEB}/commits/{A}/files/bad/content"): Answer(200, b"<html>"),
    }
    async with opened(answers) as (provider, _):
        with pytest.raises(api.Conflict, match="folder"):
            await provider.read_file("acme/web", "src", A)
        with pytest.raises(api.NotFound):
            await provider.read_file("acme/web", "nothing", A)
        with pytest.raises(api.ProviderError, match="base64"):
            await provider.read_file("acme/web", "bad", A)


# -- changes


def change(number=1234, **more):
    return {
        "id": f"acme%2Fweb~{number}",
        "project": "acme/web",
        "branch": "main",
        "subject": "Add a thing",
        "status": "NEW",
        "_number": number,
        "owner": {"_account_id": 1, "username": "ada", "name": "Ada"},
        "current_revision": A,
        "revisions": {A: {"_number": 2, "ref": f"refs/changes/{number % 100:02d}/{number}/2"}},
        **more,
    }


async def test_changes_over_two_pages():
    first = [change(number) for number in range(1, 100)] + [change(100, _more_changes=True)]
    async with opened({("GET", "/a/changes/"): [magic(first), magic([change(101, status="MERGED")])]}) as (one, host):
        found = await listed(one.changes("acme/web", None))
        assert [asked.query["S"] for asked in host.asked] == ["0", "100"]
        assert host.asked[0].query["q"] == 'project:"acme/web"'
    assert len(found) == 101
    assert (found[-1].number, found[-1].state, found[-1].reviews) == (101, "merged", None)


@pytest.mark.parametrize(("state", "word"), [("open", "open"), ("merged", "merged"), ("closed", "abandoned")])
async def test_changes_in_a_state(state, word):
    async with opened({("GET", "/a/changes/"): []}) as (provider, host):
        assert await listed(provider.changes("acme/web", state)) == []
        assert host.asked[0].query["q"] == f'project:"acme/web" status:{word}'


DETAIL = "/a/changes/acme%2Fweb~1234/detail"


async def test_a_change_with_its_votes():
    code_review = {
        "values": {"-2": "no", "-1": "rather not", " 0": "none", "+1": "rather", "+2": "yes"},
        "all": [
            {"_account_id": 2, "username": "grace", "value": 2},
            {"_account_id": 3, "username": "linus", "value": -2},
            {"_account_id": 4, "name": "Edsger", "value": 1},
            {"_account_id": 5, "username": "nobody", "value": 0},
            {"_account_id": 6, "username": "reviewer"},
        ],
    }
    told = change(
        labels={"Verified": {"all": [{"_account_id": 9, "username": "ci", "value": -1}]}, "Code-Review": code_review},
        hashtags=["ui"],
        work_in_progress=True,
        mergeable=False,
    )
    told["revisions"][A]["commit"] = {"message": "Add a thing\n\nWith words.\n\nChange-Id: Iabc\n"}
    async with opened({("GET", DETAIL): told}) as (provider, host):
        found = await provider.change("acme/web", 1234)
        where = api.Repository(host=api.host_of(host.url), path="acme/web")
        assert found == api.HostedChange(
            repository=where,
            number=1234,
            title="Add a thing",
            state="open",
            source=api.ChangeSource(repository=where, branch="changes/34/1234/2", sha=A),
            target=api.ChangeTarget(branch="main"),
            author="ada",
            body="With words.\n\nChange-Id: Iabc",
            draft=True,
            labels=("ui",),
            reviews=(
                api.Review(author="grace", state="approved", sha=A, label="Code-Review", vote=2),
                api.Review(author="linus", state="rejected", sha=A, label="Code-Review", vote=-2),
                api.Review(author="Edsger", state="commented", sha=A, label="Code-Review", vote=1),
                api.Review(author="ci", state="rejected", sha=A, label="Verified", vote=-1),
            ),
            mergeable=False,
            head_ref="refs/changes/34/1234/2",
            revision=A,
            url=f"{host.url}/c/acme/web/+/1234",
        )


@pytest.mark.parametrize("wrong", [{"current_revision": None}, {"revisions": {}}, {"status": "NEWER"}])
async def test_a_change_that_does_not_say_where_it_is_is_another_form(wrong):
    async with opened({("GET", DETAIL): change(**wrong)}) as (provider, _):
        with pytest.raises(api.ProviderError):
            await provider.change("acme/web", 1234)


async def test_the_files_of_a_change():
    files = {
        "/COMMIT_MSG": {"status": "A"},
        "/PATCHSET_LEVEL": {},
        "b.py": {"status": "R", "old_path": "a.py"},
        "c.py": {"lines_inserted": 1},
        "d.py": {"status": "D"},
        "e.py": {"status": "A"},
    }
    async with opened({("GET", "/a/changes/acme%2Fweb~1234/revisions/current/files/"): files}) as (provider, _):
        found = await listed(provider.changed_files("acme/web", 1234))
    assert found == [
        api.ChangedFile(path="b.py", status="renamed", previous_path="a.py"),
        api.ChangedFile(path="c.py", status="modified"),
        api.ChangedFile(path="d.py", status="removed"),
        api.ChangedFile(path="e.py", status="added"),
    ]


NEW = api.NewChange(title="Merge dev", source="dev", target="main", body="All of it.", draft=True)


async def test_a_change_that_merges_a_branch_is_made():
    answers = {
        ("GET", f"{WEB}/branches/dev"): {"ref": "refs/heads/dev", "revision": B},
        ("GET", "/a/changes/"): [],
        ("POST", "/a/changes/"): Answer(201, b")]}'\n" + json.dumps(change()).encode()),
        ("GET", DETAIL): change(subject="Merge dev"),
    }
    async with opened(answers) as (provider, host):
        made = await provider.open_change("acme/web", NEW)
        posted = host.asked[2]
        assert posted.json() == {
            "project": "acme/web",
            "branch": "main",
            "subject": "Merge dev\n\nAll of it.",
            "work_in_progress": True,
            "merge": {"source": "dev"},
        }
    assert (made.number, made.title) == (1234, "Merge dev")


async def test_a_second_change_between_the_same_branches_is_a_conflict():
    there = change()
    there["revisions"][A]["commit"] = {"parents": [{"commit": C}, {"commit": B}]}
    answers = {
        ("GET", f"{WEB}/branches/dev"): {"ref": "refs/heads/dev", "revision": B},
        ("GET", "/a/changes/"): [there],
    }
    async with opened(answers) as (provider, host):
        with pytest.raises(api.Conflict, match="1234"):
            await provider.open_change("acme/web", NEW)
        assert host.asked[1].query["q"] == 'project:"acme/web" branch:"main" status:open is:merge'
        assert not [one for one in host.asked if one.method == "POST"]


async def test_making_a_change_is_not_tried_twice():
    answers = {
        ("GET", f"{WEB}/branches/dev"): {"ref": "refs/heads/dev", "revision": B},
        ("GET", "/a/changes/"): [],
        ("POST", "/a/changes/"): Answer(503),
    }
    async with opened(answers) as (provider, host):
        with pytest.raises(api.Unavailable):
            await provider.open_change("acme/web", NEW)
        assert host.paths().count("POST /a/changes/") == 1


REVISION = f"/a/changes/acme%2Fweb~1234/revisions/{A}"


async def test_a_change_is_submitted_at_its_revision_only():
    async with opened({("POST", f"{REVISION}/submit"): change(status="MERGED")}) as (provider, host):
        assert await provider.merge_change("acme/web", 1234, sha=A) is None
        for unguarded in ("current", A[:10], "0" * 39):
            with pytest.raises(api.NotFound):
                await provider.merge_change("acme/web", 1234, sha=unguarded)
        assert host.paths() == [f"POST {REVISION}/submit"]
    stale = Answer(409, b"revision is not current revision", {"Content-Type": "text/plain; charset=UTF-8"})
    async with opened({("POST", f"{REVISION}/submit"): stale}) as (provider, _):
        with pytest.raises(api.Conflict, match="not current revision"):
            await provider.merge_change("acme/web", 1234, sha=A)


@pytest.mark.parametrize(
    ("submits", "method", "done"),
    [
        ("REBASE_ALWAYS", "rebase", True),
        ("CHERRY_PICK", "rebase", True),
        ("MERGE_IF_NECESSARY", "rebase", False),
        ("REBASE_ALWAYS", "squash", False),
    ],
)
async def test_a_way_of_merging_that_the_project_has_not_is_refused(submits, method, done):
    answers = {("GET", f"{REVISION}/submit_type"): submits, ("POST", f"{REVISION}/submit"): change(status="MERGED")}
    async with opened(answers) as (provider, host):
        with contextlib.nullcontext() if done else pytest.raises(api.Conflict, match=submits):
            await provider.merge_change("acme/web", 1234, sha=A, method=method)
        assert (f"POST {REVISION}/submit" in host.paths()) is done


# -- votes

REPOSITORY = api.Repository(host="review.acme.example", path="acme/web")
REVIEW = f"{REVISION}/review"
ME = {"_account_id": 9, "username": "ci"}


def status(state, context="headgate/web", number=12, description=None):
    return api.CommitStatus(
        context=context,
        state=state,
        description=description or f"{context.rpartition('/')[2]} #{number} {state}",
        url=f"https://ci.example/builds/{number}",
    )


class Votes:
    """A change that keeps what is said on it, as Gerrit does."""

    def __init__(self):
        self.messages, self.reviews, self.current = [], [], A

    def found(self, _):
        return magic([change(current_revision=self.current, messages=list(self.messages))])

    def review(self, asked):
        body = asked.json()
        self.reviews.append(body)
        said = "".join(f" {label}{vote:+d}" for label, vote in body["labels"].items())
        self.says(f"Patch Set 2:{said}\n\n{body['message']}", tag=body["tag"])
        return magic({"labels": body["labels"]})

    def says(self, text, *, tag="autogenerated:headgate", author=9, revision=2):
        message = {"id": "m", "message": text, "date": "2026-01-05 12:00:00.000000000", "_revision_number": revision}
        self.messages.append(message | {"tag": tag, "author": {"_account_id": author}})

    def labels(self):
        return [one["labels"] for one in self.reviews]


@contextlib.asynccontextmanager
async def voting(**more):
    votes = Votes()
    answers = {("GET", "/a/changes/"): votes.found, ("POST", REVIEW): votes.review, ("GET", "/a/accounts/self"): ME}
    async with opened(answers, **more) as (provider, host):

        async def tell(*args, **kwargs):
            await provider.report_status(REPOSITORY, A, status(*args, **kwargs))

        yield tell, votes, host


async def test_a_build_votes_by_what_became_of_it():
    async with voting() as (tell, votes, host):
        await tell("succeeded")
        assert host.asked[0].query == {
            "q": f'project:"acme/web" commit:{A} status:open',
            "o": "CURRENT_REVISION",
            "n": "100",
            "S": "0",
        }
    assert votes.reviews == [
        {
            "message": "headgate/web: succeeded - web #12 succeeded\nhttps://ci.example/builds/12",
            "tag": "autogenerated:headgate",
            "labels": {"Verified": 1},
            "notify": "OWNER",
        }
    ]


@pytest.mark.parametrize(
    ("state", "labels"),
    [
        ("queued", {"Verified": 0}),
        ("running", {"Verified": 0}),
        ("succeeded", {"Verified": 1}),
        ("failed", {"Verified": -1}),
        ("errored", {"Verified": 0}),
        ("cancelled", {"Verified": 0}),
    ],
)
async def test_the_votes_of_each_state(state, labels):
    async with voting() as (tell, votes, _):
        await tell(state)
    assert votes.labels() == [labels]


async def test_votes_as_the_admin_wrote_them():
    wanted = {"succeeded": {"CI": 2, "Verified": 1}, "errored": {"CI": -1}, "queued": {}, "running": {}}
    async with voting(votes=wanted) as (tell, votes, host):
        await tell("queued")
        assert host.asked == []
        await tell("succeeded")
        await tell("errored", number=13)
        await tell("failed", number=14)
    assert votes.labels() == [{"CI": 2, "Verified": 1}, {"CI": -1}, {"Verified": -1}]


async def test_the_worst_of_several_builds_is_the_vote():
    """One account has one vote: a second job's success must not hide the first one's failure."""
    async with voting() as (tell, votes, _):
        await tell("failed", "headgate/web")
        await tell("running", "headgate/docs")
        await tell("succeeded", "headgate/docs")
        await tell("succeeded", "headgate/web", number=13)
    assert votes.labels() == [{"Verified": -1}, {"Verified": -1}, {"Verified": -1}, {"Verified": 1}]


async def test_control_without_what_others_said_the_last_one_would_decide():
    """The negative control of the one above: messages that are not read back."""
    async with voting() as (tell, votes, _):
        await tell("failed", "headgate/web")
        votes.messages.clear()
        await tell("succeeded", "headgate/docs")
    assert votes.labels() == [{"Verified": -1}, {"Verified": 1}]


async def test_a_status_told_again_changes_nothing():
    async with voting() as (tell, votes, _):
        await tell("failed")
        await tell("failed")
        await tell("failed", number=13)
    assert len(votes.reviews) == 2


async def test_that_a_build_starts_is_no_news_for_who_knows_that_it_waits():
    async with voting() as (tell, votes, _):
        for state in ("queued", "running", "succeeded", "running"):
            await tell(state)
        await tell("running", number=13)
    assert [one["message"].split(" - ")[0] for one in votes.reviews] == [
        "headgate/web: queued",
        "headgate/web: succeeded",
        "headgate/web: running",
    ]
    assert [one["notify"] for one in votes.reviews] == ["NONE", "OWNER", "NONE"]


@pytest.mark.parametrize(
    "forged", [{"author": 66}, {"tag": None}, {"tag": "autogenerated:other"}, {"revision": 1}, {"author": None}]
)
async def test_what_others_wrote_or_was_said_of_another_patch_set_counts_for_nothing(forged):
    """Anybody may write the same words: a forged success must not make ours, nor a failure."""
    async with voting() as (tell, votes, _):
        votes.says(
            "Patch Set 2: Verified-1\n\nheadgate/docs: failed - docs #1 failed\nhttps://ci.example/b/1", **forged
        )
        await tell("succeeded")
        votes.says("Patch Set 2: Verified-1\n\nheadgate/docs: failed - docs #1 failed\nhttps://ci.example/b/1")
        await tell("succeeded", number=13)
    assert votes.labels() == [{"Verified": 1}, {"Verified": -1}]


async def test_only_the_current_patch_set_of_an_open_change_is_voted_on():
    async with voting() as (tell, votes, host):
        votes.current = B
        with contextlib.suppress(api.ProviderError):
            await tell("succeeded")
        host.on("GET", "/a/changes/", magic([]))
        await tell("succeeded")
    assert votes.reviews == []


async def test_votes_at_the_same_time_do_not_miss_each_other():
    async with voting() as (tell, votes, _):
        await asyncio.gather(tell("failed", "headgate/web"), *(tell("succeeded", f"headgate/{n}") for n in range(5)))
    assert {one["Verified"] for one in votes.labels()[-1:]} == {-1}
    assert len(votes.reviews) == 6


async def test_a_vote_that_is_not_ours_to_give_is_refused_in_gerrits_words():
    async with voting() as (tell, _, host):
        words = b'Applying label "Verified": 1 is restricted'
        host.on("POST", REVIEW, Answer(403, words, {"Content-Type": "text/plain; charset=UTF-8"}))
        with pytest.raises(api.Refused, match="is restricted"):
            await tell("succeeded")
        assert host.paths().count(f"POST {REVIEW}") == 1


async def test_a_limit_is_not_waited_for():
    async with voting() as (tell, _, host):
        host.on("POST", REVIEW, Answer(429, {}, {"Retry-After": "7"}))
        with pytest.raises(api.RateLimited):
            await tell("succeeded")


@pytest.mark.parametrize("sha", ["current", A[:12], ""])
async def test_a_vote_needs_a_whole_commit(sha):
    async with opened() as (provider, host):
        with pytest.raises(api.NotFound):
            await provider.report_status(REPOSITORY, sha, status("succeeded"))
        assert host.asked == []


def test_words_that_look_like_ours_do_not_confuse():
    """A description may hold anything in one line."""
    told = status("failed", description="web #12: succeeded - really\nother: failed")
    assert text_of(told).splitlines()[0] == "headgate/web: failed - web #12: succeeded - really other: failed"
    assert lowest(DEFAULT_VOTES, ["succeeded", "failed", "running"]) == {"Verified": -1}


async def test_a_description_that_looks_like_a_status_is_read_back_right():
    async with voting() as (tell, votes, _):
        await tell("failed", description="x: succeeded - y")
        await tell("succeeded", "headgate/docs")
    assert votes.labels() == [{"Verified": -1}, {"Verified": -1}]


# -- the connection itself


async def test_the_connection_is_tested():
    answers = {
        ("GET", "/a/accounts/self"): {"_account_id": 9, "name": "CI", "username": "ci"},
        ("GET", "/a/accounts/self/capabilities"): {"streamEvents": True},
    }
    async with opened(answers) as (provider, host):
        report = await provider.test_connection()
        assert host.asked[1].query == {"q": "streamEvents"}
    assert (report.user, report.permissions, report.missing) == ("ci", ("Stream Events",), ())


@pytest.mark.parametrize(("user", "missing"), [("ci", ("Stream Events",)), ("listener", ())])
async def test_a_stream_that_its_account_may_not_read_is_said(user, missing):
    """Of the account that is asked about; another one's rights are not told."""
    answers = {("GET", "/a/accounts/self"): {"username": "ci"}, ("GET", "/a/accounts/self/capabilities"): {}}
    ssh = {"user": user, "credential": "secret://contract/ssh"}
    async with opened(answers, ssh=ssh, stream=True) as (provider, _):
        assert (await provider.test_connection()).missing == missing


async def test_without_a_credential_the_test_asks_nothing():
    def anonymous(url):
        return {"base_url": url, "webhook_secrets": ["secret://contract/hook"]}

    async with calling(KIND, anonymous) as (provider, host):
        report = await provider.test_connection()
        assert host.asked == []
    assert report.missing == ("credential",)


KEY = api.Credential(
    type="ssh_key",
    fields={"private_key": api.Secret("key"), "known_hosts": api.Secret("[127.0.0.1]:29418 ssh-ed25519 AAAA")},
    hosts=("127.0.0.1", "ssh.acme.example"),
)


async def test_sources_are_cloned_over_https_or_ssh():
    async with opened() as (provider, host):
        source = await provider.clone_source("acme/Web.git")
        assert (source.url, source.credential) == (f"{host.url}/a/acme/Web", PASSWORD)
    ssh = {"user": "ci", "credential": "secret://contract/ssh"}
    for more, url in (
        ({"clone": "ssh", "ssh": ssh}, "ssh://ci@127.0.0.1:29418/acme/web"),
        (
            {"clone": "ssh", "ssh": {**ssh, "host": "ssh.acme.example", "port": 22}},
            "ssh://ci@ssh.acme.example:22/acme/web",
        ),
    ):
        async with opened(**more) as (provider, _):
            provider._ours._credentials["secret://contract/ssh"] = KEY
            source = await provider.clone_source("acme/web")
        assert (source.url, source.credential) == (url, KEY)
    async with opened(ssh=ssh) as (provider, host):
        assert (await provider.clone_source("web")).url == f"{host.url}/a/web"
        with pytest.raises(api.NotFound):
            await provider.clone_source("../web")


async def test_without_any_credential_sources_are_cloned_as_anybody_does():
    def anonymous(url):
        return {"base_url": url, "webhook_secrets": ["secret://contract/hook"]}

    async with calling(KIND, anonymous) as (provider, host):
        assert await provider.clone_source("acme/web") == api.CloneSource(url=f"{host.url}/acme/web")


def test_what_it_can_do():
    claimed = {word for word, capability in api.CAPABILITIES.items() if issubclass(KIND.provides, capability)}
    assert claimed == {
        "changes", "clone", "discover", "files", "repository", "status", "stream", "test", "write_changes",
    }  # fmt: skip
