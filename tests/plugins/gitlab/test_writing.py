"""What a GitLab connection changes: statuses, files, branches and merge requests, each guarded."""

from __future__ import annotations

import pytest
from hosted_gitlab import CHANGE, PROJECT, ROOT, WEB, A, B, C, asked_of

from headgate import api
from headgate.api.testing import NOW
from headgate.api.testing.calls import Answer

STATUSES = f"{ROOT}/projects/Acme%2FWeb/statuses/{B}"
COMMITS = f"{WEB}/repository/commits"


async def report(provider, state="succeeded", description="ok", url="https://ci.example/b/1"):
    status = api.CommitStatus(context="headgate/web", state=state, description=description, url=url)
    await provider.report_status(api.Repository(host="h", path="Acme/Web"), B, status)


async def test_a_status_is_posted():
    async with asked_of() as (provider, host):
        host.on("POST", STATUSES, Answer(201, {}))
        await report(provider, description="x" * 300)
        await report(provider, url=None)
        sent = host.asked[0].json()
        assert sent | {"description": ""} == {
            "state": "success",
            "name": "headgate/web",
            "description": "",
            "target_url": "https://ci.example/b/1",
        }
        assert len(sent["description"]) == 255
        assert "target_url" not in host.asked[1].json()


async def test_every_state_of_a_build_has_a_word_at_gitlab():
    states = ("queued", "running", "succeeded", "failed", "errored", "cancelled")
    async with asked_of() as (provider, host):
        host.on("POST", STATUSES, Answer(201, {}))
        for state in states:
            await report(provider, state)
        words = [one.json()["state"] for one in host.asked]
    assert words == ["pending", "running", "success", "failed", "failed", "canceled"]


def transition(way, state):
    words = f'Cannot transition status via :{way} from :{state} (Reason(s): Status cannot transition via "{way}")'
    return Answer(400, {"message": words})


@pytest.mark.parametrize(
    ("way", "state"),
    [("enqueue", "pending"), ("run", "running"), ("success", "success"), ("drop", "failed"), ("cancel", "canceled")],
)
async def test_a_status_that_is_there_already_is_done(way, state):
    async with asked_of() as (provider, host):
        host.on("POST", STATUSES, transition(way, state))
        await report(provider)
        assert len(host.asked) == 1


async def test_an_older_status_is_a_conflict_and_another_400_stays_one():
    async with asked_of() as (provider, host):
        host.on("POST", STATUSES, transition("enqueue", "running"), Answer(400, {"error": "state is missing"}))
        with pytest.raises(api.Conflict, match="came late"):
            await report(provider, "queued")
        with pytest.raises(api.ProviderError, match="state is missing"):
            await report(provider)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(401, {"message": "401 Unauthorized"}), api.Refused),
        (Answer(403, {"message": "403 Forbidden"}), api.Refused),
        (Answer(404, {"message": "404 References for commit Not Found"}), api.NotFound),
        (Answer(429, {"message": "Retry later"}, {"Retry-After": "9"}), api.RateLimited),
        (Answer(502, b"<html>"), api.Unavailable),
    ],
)
async def test_a_status_that_fails_is_not_tried_again_here(answer, error):
    """Whoever tells news keeps it."""
    async with asked_of() as (provider, host):
        host.on("POST", STATUSES, answer)
        with pytest.raises(error) as caught:
            await report(provider)
        assert len(host.asked) == 1
        if error is api.RateLimited:
            assert (caught.value.retry_at - NOW).total_seconds() == 9


CHANGES = (
    api.FileChange(path="new.txt", content=b"new"),
    api.FileChange(path="old.txt", content=b"\xff", revision=A),
    api.FileChange(path="gone.txt", content=None, revision=C),
)


async def test_several_files_are_one_commit_each_with_its_guard():
    async with asked_of() as (provider, host):
        host.on("POST", COMMITS, Answer(201, {"id": B}))
        made = await provider.commit_files("acme/web", api.FileCommit(branch="main", message="Do", changes=CHANGES))
        assert made == B
        assert host.paths() == [f"POST {COMMITS}"]
        assert host.asked[0].json() == {
            "branch": "main",
            "commit_message": "Do",
            "actions": [
                {"action": "create", "file_path": "new.txt", "content": "bmV3", "encoding": "base64"},
                {
                    "action": "update",
                    "file_path": "old.txt",
                    "last_commit_id": A,
                    "content": "/w==",
                    "encoding": "base64",
                },
                {"action": "delete", "file_path": "gone.txt", "last_commit_id": C},
            ],
        }


@pytest.mark.parametrize(
    "words",
    [
        "The file has changed since you started editing it: old.txt",
        "A file with this name already exists",
        "A file with this name doesn't exist",
    ],
)
async def test_a_guard_that_does_not_hold_is_a_conflict(words):
    async with asked_of() as (provider, host):
        host.on("POST", COMMITS, Answer(400, {"message": words}))
        with pytest.raises(api.Conflict, match=words):
            await provider.commit_files("acme/web", api.FileCommit(branch="main", message="Do", changes=CHANGES))
        assert len(host.asked) == 1


async def test_another_fault_of_a_commit_is_no_conflict_and_none_is_repeated():
    async with asked_of() as (provider, host):
        host.on("POST", COMMITS, Answer(400, {"message": "branch is empty"}), Answer(503, {}))
        commit = api.FileCommit(branch="main", message="Do", changes=CHANGES)
        for error in (api.ProviderError, api.Unavailable):
            with pytest.raises(error) as caught:
                await provider.commit_files("acme/web", commit)
            assert type(caught.value) is error
        assert len(host.asked) == 2


async def test_a_branch_that_moved_on_gets_no_commit():
    async with asked_of() as (provider, host):
        host.on("GET", f"{WEB}/repository/branches/main", {"name": "main", "commit": {"id": A}})
        host.on("POST", COMMITS, Answer(201, {"id": B}))
        for head, paths in ((C, 1), (A, 3)):
            commit = api.FileCommit(branch="main", message="Do", changes=CHANGES, head=head)
            if head == C:
                with pytest.raises(api.Conflict, match="no longer at"):
                    await provider.commit_files("acme/web", commit)
            else:
                await provider.commit_files("acme/web", commit)
            assert len(host.asked) == paths


async def test_a_new_file_cannot_be_deleted():
    async with asked_of() as (provider, host):
        change = api.FileChange(path="a", content=None)
        with pytest.raises(api.Conflict, match="revision"):
            await provider.commit_files("acme/web", api.FileCommit(branch="main", message="Do", changes=(change,)))
        assert host.asked == []


async def test_a_branch_is_made_once():
    path = f"{WEB}/repository/branches"
    async with asked_of() as (provider, host):
        host.on("POST", path, Answer(201, {"name": "x"}), Answer(400, {"message": "Branch already exists"}))
        await provider.create_branch("acme/web", "x", A)
        assert host.asked[0].json() == {"branch": "x", "ref": A}
        with pytest.raises(api.Conflict, match="already exists"):
            await provider.create_branch("acme/web", "x", A)


NEW = api.NewChange(title="Add a thing", source="thing", target="main", body="why", draft=True)


async def test_a_change_is_opened():
    async with asked_of() as (provider, host):
        host.on("GET", f"{WEB}/repository/compare", {"commits": [{"id": B}], "diffs": []})
        host.on("POST", f"{WEB}/merge_requests", Answer(201, CHANGE))
        opened = await provider.open_change("acme/web", NEW)
        assert (opened.number, opened.draft, opened.source.sha) == (3, True, B)
        assert host.asked[0].query == {"from": "main", "to": "thing", "straight": "false"}
        assert host.asked[1].json() == {
            "source_branch": "thing",
            "target_branch": "main",
            "title": "Draft: Add a thing",
            "description": "why",
        }


async def test_a_change_with_nothing_in_it_or_one_that_is_open_is_a_conflict():
    async with asked_of() as (provider, host):
        full = {"commits": [{"id": B}], "diffs": []}
        host.on("GET", f"{WEB}/repository/compare", {"commits": [], "diffs": []}, full)
        words = "Another open merge request already exists for this source branch: !3"
        host.on("POST", f"{WEB}/merge_requests", Answer(409, {"message": [words]}))
        with pytest.raises(api.Conflict, match="no commit that main has not"):
            await provider.open_change("acme/web", NEW)
        with pytest.raises(api.Conflict, match="Another open merge request"):
            await provider.open_change("acme/web", NEW)


MERGE = f"{WEB}/merge_requests/3/merge"


async def test_a_merge_is_guarded_by_the_head():
    async with asked_of() as (provider, host):
        host.on("PUT", MERGE, {**CHANGE, "state": "merged", "merge_commit_sha": C}, {**CHANGE, "state": "opened"})
        assert await provider.merge_change("acme/web", 3, sha=B) == C
        assert await provider.merge_change("acme/web", 3, sha=B, method="squash") is None
        assert [one.json() for one in host.asked] == [{"sha": B}, {"sha": B, "squash": True}]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (409, "SHA does not match HEAD of source branch"),
        (405, "405 Method Not Allowed"),
        (406, "Branch cannot be merged"),
        (422, "Branch cannot be merged"),
    ],
)
async def test_what_cannot_be_merged_is_a_conflict(status, words):
    async with asked_of() as (provider, host):
        host.on("PUT", MERGE, Answer(status, {"message": words}))
        with pytest.raises(api.Conflict, match=words):
            await provider.merge_change("acme/web", 3, sha=B)


async def test_a_merge_is_not_repeated():
    """What succeeded unseen would be answered with 405."""
    async with asked_of() as (provider, host):
        host.on("PUT", MERGE, Answer(503, {}))
        with pytest.raises(api.Unavailable):
            await provider.merge_change("acme/web", 3, sha=B)
        assert len(host.asked) == 1


async def test_a_project_that_makes_merge_commits_does_not_rebase():
    async with asked_of() as (provider, host):
        host.on("GET", WEB, PROJECT, {**PROJECT, "merge_method": "ff"})
        host.on("PUT", MERGE, {**CHANGE, "state": "merged"})
        with pytest.raises(api.Conflict, match="merge commits"):
            await provider.merge_change("acme/web", 3, sha=B, method="rebase")
        assert await provider.merge_change("acme/web", 3, sha=B, method="rebase") == B
