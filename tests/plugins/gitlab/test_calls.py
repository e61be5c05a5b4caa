"""What a GitLab connection reads: the contract of all calls, then each against documented answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hosted_gitlab import CHANGE, COMMIT, KIND, PROJECT, ROOT, WEB, A, B, C, asked_of, diff, every, options, paged

from headgate import api
from headgate.api.testing import NOW
from headgate.api.testing.calls import Answer, CallsContract, calling


class TestContract(CallsContract):
    kind = KIND


async def test_a_project_by_its_path():
    async with asked_of() as (provider, host):
        host.on("GET", WEB, PROJECT)
        found = await provider.repository("/acme/web.git")
        assert found == api.HostedRepository(
            repository=api.Repository(host=host.url.removeprefix("http://"), path="Acme/Web"),
            id="7",
            default_branch="main",
            visibility="internal",
            archived=False,
            fork=False,
            url="https://gitlab.example.com/Acme/Web",
        )
        host.on("GET", f"{ROOT}/projects/a%2Fb%2Fc", {**PROJECT, "forked_from_project": {"id": 1}})
        assert (await provider.repository("a/b/c")).fork
        with pytest.raises(api.NotFound, match="does not name"):
            await provider.repository("../user")
        assert host.paths() == [f"GET {WEB}", f"GET {ROOT}/projects/a%2Fb%2Fc"]


async def test_a_server_below_a_path_of_its_host():
    async with calling(KIND, lambda url: {**options(url), "base_url": f"{url}/git"}) as (provider, host):
        host.on("GET", f"/git{WEB}", PROJECT)
        assert (await provider.repository("acme/web")).id == "7"


async def test_branches_and_tags_over_two_pages():
    async with asked_of() as (provider, host):
        one, two = (
            {"name": name, "commit": {"id": sha}, "protected": name == "main"}
            for name, sha in (("main", A), ("x/y", B))
        )
        paged(host, f"{WEB}/repository/branches", [one], [two])
        assert await every(provider.branches("acme/web")) == [
            api.Branch(name="main", sha=A, protected=True),
            api.Branch(name="x/y", sha=B, protected=False),
        ]
        assert host.asked[0].query == {"per_page": "100"}
        tags = [[{"name": name, "target": C, "commit": {"id": sha}}] for name, sha in (("v1", A), ("v2", B))]
        paged(host, f"{WEB}/repository/tags", *tags)
        assert await every(provider.tags("acme/web")) == [
            api.HostedTag(name="v1", sha=A),
            api.HostedTag(name="v2", sha=B),
        ]


async def test_pages_are_fetched_as_they_are_wanted():
    async with asked_of() as (provider, host):
        paged(host, f"{WEB}/repository/branches", [{"name": "main", "commit": {"id": A}}], [])
        async for _ in provider.branches("acme/web"):
            break
        assert len(host.asked) == 1


async def test_one_ref_of_each_kind():
    async with asked_of() as (provider, host):
        host.on("GET", f"{WEB}/repository/branches/x%2Fy", {"name": "x/y", "commit": {"id": A}})
        host.on("GET", f"{WEB}/repository/tags/v1", {"name": "v1", "target": C, "commit": {"id": B}})
        host.on("GET", f"{WEB}/repository/commits/refs%2Fmerge-requests%2F3%2Fhead", {"id": C})
        refs = {"refs/heads/x/y": A, "refs/tags/v1": B, "refs/merge-requests/3/head": C}
        for ref, sha in refs.items():
            assert await provider.ref("acme/web", ref) == sha
        with pytest.raises(api.NotFound):
            await provider.ref("acme/web", "refs/heads/gone")


async def test_an_abbreviated_commit_is_no_answer():
    async with asked_of() as (provider, host):
        host.on("GET", f"{WEB}/repository/branches/main", {"name": "main", "commit": {"id": A[:12]}})
        with pytest.raises(api.ProviderError, match="full commit id"):
            await provider.ref("acme/web", "refs/heads/main")


async def test_commits():
    async with asked_of() as (provider, host):
        paged(host, f"{WEB}/repository/commits", [COMMIT], [{"id": A}])
        first, second = await every(provider.commits("acme/web", "x/y"))
        assert first == api.Commit(
            id=B,
            message="Two\n",
            author=api.Person(name="Ada Lovelace", email="ada@example.com"),
            url=COMMIT["web_url"],
        )
        assert second == api.Commit(id=A)
        assert host.asked[0].query == {"per_page": "100", "ref_name": "x/y"}


DIFFS = [
    diff("new.txt", new_file=True),
    diff("gone.txt", deleted_file=True),
    diff("b.txt", "a.txt", renamed_file=True),
    diff("same.txt"),
]
FILES = (
    api.ChangedFile(path="new.txt", status="added"),
    api.ChangedFile(path="gone.txt", status="removed"),
    api.ChangedFile(path="b.txt", status="renamed", previous_path="a.txt"),
    api.ChangedFile(path="same.txt", status="modified"),
)


async def test_a_comparison_and_what_is_missing_of_it():
    async with asked_of() as (provider, host):
        compared = {"commits": [COMMIT], "diffs": DIFFS, "compare_timeout": False}
        host.on("GET", f"{WEB}/repository/compare", compared, {**compared, "compare_timeout": True})
        found = await provider.compare("acme/web", "main", "thing")
        assert ([one.id for one in found.commits], found.files, found.complete) == ([B], FILES, True)
        assert not (await provider.compare("acme/web", "main", "thing")).complete
        assert host.asked[0].query == {"from": "main", "to": "thing", "straight": "false"}


def push(**sides):
    return api.Push(repository=api.Repository(host="h", path="Acme/Web"), ref="refs/heads/main", **sides)


async def test_changed_paths_are_those_between_both_ends():
    path = f"{ROOT}/projects/Acme%2FWeb/repository"
    async with asked_of() as (provider, host):
        compared = {"commits": [], "diffs": DIFFS}
        host.on("GET", f"{path}/compare", compared, {**compared, "compare_timeout": True})
        paths = await provider.changed_paths(push(before=A, after=B))
        assert paths == ("a.txt", "b.txt", "gone.txt", "new.txt", "same.txt")
        assert host.asked[0].query == {"from": A, "to": B, "straight": "true"}
        with pytest.raises(api.ProviderError, match="only a part"):
            await provider.changed_paths(push(before=A, after=B))
        assert await provider.changed_paths(push(before=A, after=None)) == ()


async def test_changed_paths_of_a_new_branch_are_those_of_its_last_commit():
    path = f"{ROOT}/projects/Acme%2FWeb/repository/commits/{B}/diff"
    async with asked_of() as (provider, host):
        paged(host, path, [diff("b")], [diff("a")])
        assert await provider.changed_paths(push(before=None, after=B)) == ("a", "b")
        host.on("GET", path, [diff(str(number)) for number in range(1000)])
        with pytest.raises(api.ProviderError, match="perhaps only a part"):
            await provider.changed_paths(push(before=None, after=B))


async def test_a_change_with_its_reviews():
    async with asked_of() as (provider, host):
        host.on("GET", f"{WEB}/merge_requests/3", CHANGE)
        host.on("GET", f"{WEB}/merge_requests/3/approvals", {"approved_by": [{"user": {"username": "bob"}}]})
        reviewers = [("bob", "unreviewed"), ("cy", "requested_changes"), ("di", "reviewed"), ("eve", "new word")]
        host.on(
            "GET", f"{WEB}/merge_requests/3/reviewers", [{"user": {"username": n}, "state": s} for n, s in reviewers]
        )
        change = await provider.change("acme/web", 3)
        target = api.Repository(host=host.url.removeprefix("http://"), path="Acme/Web")
        assert change == api.HostedChange(
            repository=target,
            number=3,
            title="Add a thing",
            state="open",
            source=api.ChangeSource(repository=target, branch="thing", sha=B),
            target=api.ChangeTarget(branch="main"),
            author="ada",
            body="why",
            draft=True,
            labels=("ci",),
            reviews=(
                api.Review(author="bob", state="approved"),
                api.Review(author="cy", state="rejected"),
                api.Review(author="di", state="commented"),
            ),
            mergeable=False,
            head_ref="refs/merge-requests/3/head",
            revision=B,
            url=CHANGE["web_url"],
        )


async def test_an_older_server_tells_no_states_of_reviewers():
    async with asked_of() as (provider, host):
        host.on("GET", f"{WEB}/merge_requests/3", CHANGE)
        host.on("GET", f"{WEB}/merge_requests/3/approvals", {"approved_by": []})
        assert (await provider.change("acme/web", 3)).reviews == ()


async def test_each_fork_is_asked_for_once_and_may_be_gone():
    async with asked_of() as (provider, host):
        forks = [
            {**CHANGE, "iid": number, "source_project_id": fork} for number, fork in ((1, 8), (2, 8), (3, 9), (4, None))
        ]
        paged(host, f"{WEB}/merge_requests", forks[:2], [*forks[2:], {**CHANGE, "iid": 5, "sha": None}])
        host.on("GET", f"{ROOT}/projects/8", {**PROJECT, "id": 8, "path_with_namespace": "bob/web"})
        found = await every(provider.changes("acme/web"))
        sources = {one.number: one.source.repository and one.source.repository.path for one in found}
        assert sources == {1: "bob/web", 2: "bob/web", 3: None, 4: None}
        assert {one.reviews for one in found} == {None}
        assert host.asked[0].query == {"per_page": "100", "state": "opened"}
        assert host.paths().count(f"GET {ROOT}/projects/8") == 1


@pytest.mark.parametrize(
    ("state", "asked"), [("open", "opened"), ("closed", "closed"), ("merged", "merged"), (None, "all")]
)
async def test_changes_in_a_state(state, asked):
    async with asked_of() as (provider, host):
        host.on("GET", f"{WEB}/merge_requests", [])
        assert await every(provider.changes("acme/web", state)) == []
        assert host.asked[0].query["state"] == asked


@pytest.mark.parametrize(
    ("answer", "merge_sha", "mergeable"),
    [
        ({"state": "merged", "merge_commit_sha": C, "squash_commit_sha": A}, C, False),
        ({"state": "merged", "squash_commit_sha": A}, A, False),
        ({"state": "merged"}, B, False),
        ({"state": "closed", "detailed_merge_status": "checking"}, None, None),
        ({"state": "locked", "detailed_merge_status": "mergeable"}, None, True),
        ({"detailed_merge_status": None}, None, True),
        ({"detailed_merge_status": None, "merge_status": None}, None, None),
    ],
)
async def test_what_became_of_a_change(answer, merge_sha, mergeable):
    async with asked_of() as (provider, host):
        host.on("GET", f"{WEB}/merge_requests", [{**CHANGE, **answer}])
        (change,) = await every(provider.changes("acme/web", None))
        assert (change.merge_sha, change.mergeable) == (merge_sha, mergeable)


async def test_a_new_state_of_a_change_is_an_error():
    async with asked_of() as (provider, host):
        host.on("GET", f"{WEB}/merge_requests", [{**CHANGE, "state": "sleeping"}])
        with pytest.raises(api.ProviderError, match="sleeping"):
            await every(provider.changes("acme/web"))


async def test_all_files_of_a_change():
    async with asked_of() as (provider, host):
        paged(host, f"{WEB}/merge_requests/3/diffs", DIFFS[:2], DIFFS[2:])
        assert await every(provider.changed_files("acme/web", 3)) == list(FILES)


async def test_people():
    async with asked_of() as (provider, host):
        levels = [
            ("guest", 10),
            ("planner", 15),
            ("reporter", 20),
            ("developer", 30),
            ("maintainer", 40),
            ("owner", 50),
        ]
        members = [{"username": name, "name": "N", "state": "active", "access_level": level} for name, level in levels]
        paged(host, f"{WEB}/members/all", members, [{**members[0], "username": "out", "state": "blocked"}])
        found = await every(provider.members("acme/web"))
        assert [(one.account, one.role) for one in found] == [
            ("guest", "read"),
            ("planner", "read"),
            ("reporter", "read"),
            ("developer", "write"),
            ("maintainer", "admin"),
            ("owner", "admin"),
        ]
        person = {"name": "Ada", "email": "ada@example.com", "commits": 4, "additions": 0, "deletions": 0}
        paged(host, f"{WEB}/repository/contributors", [person], [])
        assert await every(provider.contributors("acme/web")) == [
            api.Contributor(name="Ada", email="ada@example.com", commits=4)
        ]


async def test_issues():
    async with asked_of() as (provider, host):
        issue = {
            "iid": 1,
            "title": "t",
            "state": "opened",
            "author": {"username": "ada"},
            "labels": ["x"],
            "web_url": "u",
        }
        paged(host, f"{WEB}/issues", [issue], [{**issue, "iid": 2, "state": "closed", "author": None, "labels": []}])
        assert await every(provider.issues("acme/web", None)) == [
            api.Issue(number=1, title="t", state="open", author="ada", labels=("x",), url="u"),
            api.Issue(number=2, title="t", state="closed", author="ghost", url="u"),
        ]
        assert host.asked[0].query == {"per_page": "100", "state": "all"}


async def test_pipelines_and_their_jobs():
    async with asked_of() as (provider, host):
        run = {"id": 31, "status": "running", "sha": B, "ref": "main", "source": "push", "web_url": "u"}
        started = "2026-01-05T13:00:00.000+01:00"
        later = {**run, "id": 30, "name": "Nightly", "status": "meditating", "ref": "refs/merge-requests/3/head"}
        paged(host, f"{WEB}/pipelines", [run], [{**later, "started_at": started}])
        assert await every(provider.ci_runs("acme/web", sha=B, branch="main")) == [
            api.CiRun(id="31", name="push", state="running", sha=B, branch="main", url="u"),
            api.CiRun(
                id="30",
                name="Nightly",
                state="unknown",
                sha=B,
                started_at=datetime(2026, 1, 5, 12, tzinfo=UTC),
                url="u",
            ),
        ]
        assert host.asked[0].query == {"per_page": "100", "sha": B, "ref": "main"}
        states = {
            "manual": "queued",
            "running": "running",
            "success": "succeeded",
            "failed": "failed",
            "canceled": "cancelled",
            "skipped": "skipped",
        }
        jobs = [{"id": at, "name": word, "status": word} for at, word in enumerate(states)]
        paged(host, f"{WEB}/pipelines/31/jobs", jobs[:3], jobs[3:])
        assert {job.name: job.state for job in await every(provider.ci_jobs("acme/web", "31"))} == states


async def test_a_file():
    async with asked_of() as (provider, host):
        answer = {
            "file_path": "src/a b.txt",
            "encoding": "base64",
            "content": "aGVsbG8K",
            "last_commit_id": A,
            "blob_id": C,
        }
        path = f"{WEB}/repository/files/src%2Fa%20b.txt"
        host.on("GET", path, answer, {**answer, "encoding": "text"}, {**answer, "content": "x"})
        assert await provider.read_file("acme/web", "src/a b.txt", "main") == api.FileContent(
            path="src/a b.txt", content=b"hello\n", revision=A
        )
        assert host.asked[0].query == {"ref": "main"}
        for _ in range(2):
            with pytest.raises(api.ProviderError, match="base64"):
                await provider.read_file("acme/web", "src/a b.txt", "main")


async def test_a_folder_is_a_conflict_and_nothing_is_not_found():
    async with asked_of() as (provider, host):
        host.on("GET", f"{WEB}/repository/tree", [{"name": "a.txt", "type": "blob", "path": "src/a.txt"}])
        with pytest.raises(api.Conflict, match="folder"):
            await provider.read_file("acme/web", "src", "main")
        assert host.asked[-1].query == {"path": "src", "ref": "main", "per_page": "1"}
        for answer in (Answer(body=[]), Answer(404, {"message": "404 invalid revision or path Not Found"})):
            host.on("GET", f"{WEB}/repository/tree", answer)
            with pytest.raises(api.NotFound):
                await provider.read_file("acme/web", "gone", "main")


def project(path, **changes):
    return {**PROJECT, "path_with_namespace": path, "name": path.rpartition("/")[2].title(), **changes}


async def paths(provider, **query):
    return [one.repository.path for one in await every(provider.discover(api.RepositoryQuery(**query)))]


async def test_a_group_is_discovered_with_its_subgroups():
    async with asked_of() as (provider, host):
        path = f"{ROOT}/groups/acme%2Fback/projects"
        paged(host, path, [project("acme/back/web")], [project("acme/back/sub/website"), project("acme/back/webs/api")])
        assert await paths(provider, owner="acme", project="back", search="WEB", archived=False) == [
            "acme/back/web",
            "acme/back/sub/website",
        ]
        assert host.asked[0].query == {
            "per_page": "100",
            "archived": "false",
            "search": "WEB",
            "include_subgroups": "true",
            "with_shared": "false",
        }


async def test_a_name_that_is_no_group_is_a_user():
    async with asked_of() as (provider, host):
        paged(host, f"{ROOT}/users/ada/projects", [project("ada/one")], [project("ada/two")])
        assert await paths(provider, owner="ada", visibility="private") == ["ada/one", "ada/two"]
        assert host.asked[1].query == {"per_page": "100", "visibility": "private"}
        for query in ({"owner": "acme/none"}, {"owner": "ada", "project": "none"}, {"owner": "nobody"}):
            with pytest.raises(api.NotFound):
                await paths(provider, **query)


async def test_what_the_credential_is_a_member_of_is_listed_behind_a_key():
    async with asked_of() as (provider, host):

        def answered(asked):
            if "id_after" in asked.query:
                return Answer(body=[project("b/two"), project("c/back/three")])
            link = f'<{host.url}{ROOT}/projects?id_after=7&pagination=keyset&order_by=id>; rel="next"'
            return Answer(body=[project("a/one")], headers={"Link": link})

        host.on("GET", f"{ROOT}/projects", answered)
        assert await paths(provider) == ["a/one", "b/two", "c/back/three"]
        assert host.asked[0].query == {
            "per_page": "100",
            "pagination": "keyset",
            "order_by": "id",
            "sort": "asc",
            "membership": "true",
        }
        assert await paths(provider, project="BACK") == ["c/back/three"]
        assert await paths(provider, search="wo") == ["b/two"]
        assert not [one for one in host.asked if "search" in one.query]  # GitLab would take it for the whole name


async def test_without_a_credential_all_that_is_public_is_listed():
    def without(url):
        return {key: value for key, value in options(url).items() if key != "credential"}

    async with calling(KIND, without) as (provider, host):
        host.on("GET", f"{ROOT}/projects", [project("a/one")])
        assert await paths(provider) == ["a/one"]
        assert "membership" not in host.asked[0].query


async def test_a_spent_budget_is_believed():
    async with asked_of() as (provider, host):
        reset = str(int(NOW.timestamp()) + 600)
        limited = Answer(429, {"message": "Retry later"}, {"RateLimit-Remaining": "0", "RateLimit-Reset": reset})
        host.on("GET", WEB, limited)
        with pytest.raises(api.RateLimited) as caught:
            await provider.repository("acme/web")
        assert caught.value.retry_at == NOW + timedelta(minutes=10)


async def test_a_missing_scope_is_named():
    async with asked_of() as (provider, host):
        challenge = 'Bearer realm="Protected by OAuth 2.0", error="insufficient_scope", scope="api read_api"'
        host.on("GET", WEB, Answer(403, {"error": "insufficient_scope"}, {"WWW-Authenticate": challenge}))
        with pytest.raises(api.Refused) as caught:
            await provider.repository("acme/web")
        assert caught.value.missing == ("api", "read_api")
