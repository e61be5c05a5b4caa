"""Statuses, files and branches written, each guarded; on answers of our own."""

from __future__ import annotations

import base64

import pytest
from azure_devops_payloads import NEW, OLD, OTHER, ZERO
from azure_devops_server import REPO, WEB, ask, listed, on, ref

from headgate import api
from headgate.api.testing.calls import Answer, GitHost

HERE = api.Repository(host="dev.azure.com", path=WEB)
STATUSES = f"{REPO}/commits/{NEW}/statuses"


def report(state="succeeded", context="headgate/web", url="https://ci.example/b/1"):
    status = api.CommitStatus(context=context, state=state, description="#12 succeeded", url=url)
    return lambda provider, _: provider.report_status(HERE, NEW, status)


def test_a_status_is_posted_beside_its_commit():
    host = on({f"POST {STATUSES}": Answer(201, {"id": 1})})
    ask(report(), host)
    assert host.asked[0].json() == {
        "state": "succeeded",
        "description": "#12 succeeded",
        "context": {"genre": "headgate", "name": "web"},
        "targetUrl": "https://ci.example/b/1",
    }
    ask(report(url=None), host)
    assert "targetUrl" not in host.asked[1].json()


@pytest.mark.parametrize(
    ("context", "genre", "name"),
    [
        ("headgate/web", "headgate", "web"),
        ("a/b/c", "a", "b/c"),
        ("web", "headgate", "web"),
        ("/web", "headgate", "/web"),
        ("web/", "headgate", "web/"),
    ],
)
def test_a_context_is_a_genre_and_a_name(context, genre, name):
    host = on({f"POST {STATUSES}": {}})
    ask(report(context=context), host)
    assert host.asked[0].json()["context"] == {"genre": genre, "name": name}


def test_every_state_of_a_build_has_a_word_here():
    host = on({f"POST {STATUSES}": {}})
    states = ("queued", "running", "succeeded", "failed", "errored", "cancelled")
    for state in states:
        ask(report(state), host)
    assert [one.json()["state"] for one in host.asked] == [
        "pending",
        "pending",
        "succeeded",
        "failed",
        "error",
        "error",
    ]


def test_a_status_waits_for_no_limit():
    host = on({f"POST {STATUSES}": Answer(429, {"message": "slow down"}, {"Retry-After": "5"})})
    with pytest.raises(api.RateLimited):
        ask(report(), host)
    assert len(host.asked) == 1


# -- files


def writing(blobs, **more):
    """A host whose branch is at `NEW` and has `blobs`, ids by path."""

    def found(asked):
        assert asked.query["versionDescriptor.version"] == NEW
        blob = blobs.get(asked.query["path"])
        if blob is None:
            return Answer(404, {"message": "TF401174: the item could not be found"})
        return Answer(200, {"objectId": blob, "gitObjectType": "blob", "path": asked.query["path"]})

    pushed = {"refUpdates": [{"name": "refs/heads/main", "oldObjectId": NEW, "newObjectId": OTHER}], "commits": []}
    return on(
        {
            f"GET {REPO}/refs": listed(ref()),
            f"GET {REPO}/items": found,
            f"POST {REPO}/pushes": Answer(201, pushed),
        }
        | more
    )


def commit(*changes, head=None):
    made = api.FileCommit(branch="main", message="Set the price", changes=changes, head=head)
    return lambda provider, _: provider.commit_files(WEB, made)


def test_several_files_are_one_commit_guarded_by_the_branchs_head():
    host = writing({"/price.txt": OLD, "/old.txt": OTHER})
    changes = (
        api.FileChange(path="price.txt", content=b"7", revision=OLD),
        api.FileChange(path="new/till.bin", content=b"\x00\xff"),
        api.FileChange(path="old.txt", content=None, revision=OTHER.upper()),
    )
    assert ask(commit(*changes, head=NEW), host) == OTHER
    assert host.asked[-1].json() == {
        "refUpdates": [{"name": "refs/heads/main", "oldObjectId": NEW}],
        "commits": [
            {
                "comment": "Set the price",
                "changes": [
                    {
                        "changeType": "edit",
                        "item": {"path": "/price.txt"},
                        "newContent": {"content": base64.b64encode(b"7").decode(), "contentType": "base64encoded"},
                    },
                    {
                        "changeType": "add",
                        "item": {"path": "/new/till.bin"},
                        "newContent": {
                            "content": base64.b64encode(b"\x00\xff").decode(),
                            "contentType": "base64encoded",
                        },
                    },
                    {"changeType": "delete", "item": {"path": "/old.txt"}},
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (api.FileChange(path="price.txt", content=b"7", revision=OTHER), "not as expected"),
        (api.FileChange(path="price.txt", content=b"7"), "a new file"),
        (api.FileChange(path="price.txt", content=None), "a new file"),
        (api.FileChange(path="gone.txt", content=b"7", revision=OLD), "there is none"),
        (api.FileChange(path="gone.txt", content=None), "cannot be deleted"),
    ],
)
def test_a_guard_that_does_not_hold_is_a_conflict_and_nothing_is_written(change, words):
    host = writing({"/price.txt": OLD})
    good = api.FileChange(path="new.txt", content=b"1")
    with pytest.raises(api.Conflict, match=words):
        ask(commit(good, change), host)
    assert not [one for one in host.asked if one.method == "POST"]


def test_a_branch_that_moved_is_a_conflict_before_and_at_the_push():
    change = api.FileChange(path="new.txt", content=b"1")
    with pytest.raises(api.Conflict, match="moved"):
        ask(commit(change, head=OLD), writing({}))
    stale = Answer(409, {"message": "TF401028: The reference 'refs/heads/main' has already been updated"})
    host = writing({}, **{f"POST {REPO}/pushes": stale})
    with pytest.raises(api.Conflict, match="TF401028"):
        ask(commit(change), host)


def test_a_folder_is_not_written_over():
    host = writing({}, **{f"GET {REPO}/items": {"objectId": OLD, "isFolder": True, "path": "/src"}})
    with pytest.raises(api.Conflict, match="folder"):
        ask(commit(api.FileChange(path="src", content=b"1", revision=OLD)), host)


def test_a_push_is_not_tried_twice_and_its_branch_must_be_there():
    change = api.FileChange(path="new.txt", content=b"1")
    host = writing({}, **{f"POST {REPO}/pushes": Answer(503, b"")})
    with pytest.raises(api.Unavailable):
        ask(commit(change), host)
    assert len([one for one in host.asked if one.method == "POST"]) == 1
    with pytest.raises(api.NotFound, match="refs/heads/main"):
        ask(commit(change), writing({}, **{f"GET {REPO}/refs": listed()}))
    silent = writing({}, **{f"POST {REPO}/pushes": {"refUpdates": []}})
    with pytest.raises(api.ProviderError, match="does not say"):
        ask(commit(change), silent)


# -- branches


def made(**result):
    return {"value": [{"name": "refs/heads/topic/x", "oldObjectId": ZERO, "newObjectId": NEW} | result], "count": 1}


def test_a_branch_is_made_where_there_was_none():
    host = on({f"POST {REPO}/refs": made(success=True, updateStatus="succeeded")})
    ask(lambda provider, _: provider.create_branch(WEB, "topic/x", NEW.upper()), host)
    assert host.asked[0].json() == [{"name": "refs/heads/topic/x", "oldObjectId": ZERO, "newObjectId": NEW}]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("staleOldObjectId", api.Conflict),
        ("refNameConflict", api.Conflict),
        ("createBranchPermissionRequired", api.Refused),
        ("unresolvableToCommit", api.NotFound),
        ("invalidRefName", api.ProviderError),
        ("", api.Conflict),
    ],
)
def test_a_refusal_with_status_200_is_one(status, error):
    host = on({f"POST {REPO}/refs": made(success=False, updateStatus=status, customMessage="TF402456")})
    with pytest.raises(error, match="TF402456") as caught:
        ask(lambda provider, _: provider.create_branch(WEB, "topic/x", NEW), host)
    assert type(caught.value) is error


def test_a_repository_that_is_not_there():
    with pytest.raises(api.NotFound):
        ask(lambda provider, _: provider.create_branch(WEB, "x", NEW), GitHost())
