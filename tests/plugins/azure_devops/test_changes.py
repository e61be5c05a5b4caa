"""Pull requests read, opened and completed; on answers of our own."""

from __future__ import annotations

import pytest
from azure_devops_payloads import BOB, NEW, OLD, OTHER, PAGE, REPOSITORY
from azure_devops_server import REPO, WEB, ask, change, entry, listed, on, ref

from headgate import api
from headgate.api.testing.calls import Answer, GitHost

HERE = api.Repository(host="dev.azure.com", path=WEB)
PULLS = f"{REPO}/pullrequests"


def test_a_pull_request_with_its_votes():
    found = ask(lambda provider, _: provider.change(WEB, 7), on({f"GET {PULLS}/7": change()}))
    assert found == api.HostedChange(
        repository=HERE,
        number=7,
        title="A faster till",
        state="open",
        source=api.ChangeSource(repository=HERE, branch="topic/till", sha=NEW),
        target=api.ChangeTarget(branch="main", sha=OLD),
        author="ada@acme.example",
        body="It rings.",
        labels=("ui",),
        reviews=(
            api.Review(author="bob@acme.example", state="rejected", vote=-5),
            api.Review(author="ada@acme.example", state="approved", vote=10),
        ),
        mergeable=True,
        head_ref=None,
        revision=NEW,
        url=f"{PAGE}/pullrequest/7",
    )


@pytest.mark.parametrize(
    ("vote", "state"),
    [(10, "approved"), (5, "approved"), (0, "pending"), (-5, "rejected"), (-10, "rejected"), (None, "pending")],
)
def test_what_a_vote_means(vote, state):
    host = on({f"GET {PULLS}/7": change(reviewers=[BOB | {"vote": vote}])})
    (review,) = ask(lambda provider, _: provider.change(WEB, 7), host).reviews
    assert (review.state, review.vote) == (state, vote or 0)


@pytest.mark.parametrize(
    ("changes", "state", "mergeable", "merged"),
    [
        ({"mergeStatus": "conflicts"}, "open", False, None),
        ({"mergeStatus": "rejectedByPolicy"}, "open", False, None),
        ({"mergeStatus": "queued"}, "open", None, None),
        ({"status": "completed"}, "merged", None, OTHER),
        ({"status": "abandoned"}, "closed", None, None),
    ],
)
def test_the_state_of_a_pull_request(changes, state, mergeable, merged):
    found = ask(lambda provider, _: provider.change(WEB, 7), on({f"GET {PULLS}/7": change(**changes)}))
    assert (found.state, found.mergeable, found.merge_sha) == (state, mergeable, merged)


def test_a_fork_is_another_repository():
    fork = REPOSITORY | {"name": "Fork"}
    found = ask(
        lambda provider, _: provider.change(WEB, 7), on({f"GET {PULLS}/7": change(forkSource={"repository": fork})})
    )
    assert found.source.repository == api.Repository(host="dev.azure.com", path="Shop Floor/Fork")


@pytest.mark.parametrize("changes", [{"lastMergeSourceCommit": None}, {"status": "notSet"}, {"sourceRefName": ""}])
def test_a_pull_request_that_is_not_all_there_is_a_provider_error(changes):
    with pytest.raises(api.ProviderError, match="pull request 7"):
        ask(lambda provider, _: provider.change(WEB, 7), on({f"GET {PULLS}/7": change(**changes)}))


@pytest.mark.parametrize(
    ("state", "status"), [("open", "active"), ("merged", "completed"), ("closed", "abandoned"), (None, "all")]
)
def test_pull_requests_over_two_pages(state, status):
    full = [change(number) for number in range(1, 101)]
    host = on({f"GET {PULLS}": [listed(*full), listed(change(101))]})
    found = ask(lambda provider, _: provider.changes(WEB, state), host)
    assert [one.number for one in found] == list(range(1, 102))
    assert {one.reviews for one in found} == {None}
    assert [one.query.get("$skip") for one in host.asked] == [None, "100"]
    assert {one.query["searchCriteria.status"] for one in host.asked} == {status}


def test_changed_files_are_those_of_the_newest_iteration_over_two_pages():
    host = on(
        {
            f"GET {PULLS}/7/iterations": listed({"id": 1}, {"id": 3}, {"id": 2}),
            f"GET {PULLS}/7/iterations/3/changes": [
                {"changeEntries": [entry("/a.py"), entry("/b.py", "add")], "nextSkip": 2, "nextTop": 2},
                {
                    "changeEntries": [entry("/d.py", "rename", originalPath="/c.py"), entry("/c.py", "delete")],
                    "nextSkip": 0,
                },
            ],
        }
    )
    assert ask(lambda provider, _: provider.changed_files(WEB, 7), host) == [
        api.ChangedFile(path="a.py", status="modified"),
        api.ChangedFile(path="b.py", status="added"),
        api.ChangedFile(path="d.py", status="renamed", previous_path="c.py"),
    ]
    assert [one.query.get("$skip") for one in host.asked] == [None, None, "2"]
    assert host.asked[1].query["$compareTo"] == "0"
    none = on({f"GET {PULLS}/7/iterations": listed()})
    assert ask(lambda provider, _: provider.changed_files(WEB, 7), none) == []


MINE = api.NewChange(title="A faster till", source="topic/till", target="main", body="It rings.", draft=True)
DIFFERENT = {"changes": [], "allChangesIncluded": True, "aheadCount": 2}


def opening(**more):
    return on(
        {
            f"GET {REPO}/refs": [listed(ref("refs/heads/main", OLD)), listed(ref("refs/heads/topic/till", NEW))],
            f"GET {REPO}/diffs/commits": DIFFERENT,
            f"POST {PULLS}": Answer(201, change(isDraft=True)),
        }
        | more
    )


def test_a_pull_request_is_opened():
    host = opening()
    found = ask(lambda provider, _: provider.open_change(WEB, MINE), host)
    assert (found.number, found.draft) == (7, True)
    assert host.asked[-1].json() == {
        "sourceRefName": "refs/heads/topic/till",
        "targetRefName": "refs/heads/main",
        "title": "A faster till",
        "description": "It rings.",
        "isDraft": True,
    }
    assert host.asked[-1].query == {"api-version": "7.1"}


def test_one_that_is_there_or_has_nothing_is_a_conflict():
    there = Answer(
        409, {"message": "TF401179: An active pull request for the source and target branch already exists."}
    )
    with pytest.raises(api.Conflict, match="TF401179"):
        ask(lambda provider, _: provider.open_change(WEB, MINE), opening(**{f"POST {PULLS}": there}))
    host = opening(**{f"GET {REPO}/diffs/commits": DIFFERENT | {"aheadCount": 0}})
    with pytest.raises(api.Conflict, match="nothing"):
        ask(lambda provider, _: provider.open_change(WEB, MINE), host)
    assert not [one for one in host.asked if one.method == "POST"]


def test_opening_is_not_tried_twice():
    host = opening(**{f"POST {PULLS}": Answer(503, {"message": "later"})})
    with pytest.raises(api.Unavailable):
        ask(lambda provider, _: provider.open_change(WEB, MINE), host)
    assert len([one for one in host.asked if one.method == "POST"]) == 1


@pytest.mark.parametrize(
    ("method", "strategy"), [("merge", "noFastForward"), ("squash", "squash"), ("rebase", "rebase")]
)
def test_a_pull_request_is_completed_at_the_head_that_was_seen(method, strategy):
    done = change(status="completed")
    host = on({f"GET {PULLS}/7": change(), f"PATCH {PULLS}/7": done})
    assert ask(lambda provider, _: provider.merge_change(WEB, 7, sha=NEW.upper(), method=method), host) == OTHER
    assert host.asked[-1].json() == {
        "status": "completed",
        "lastMergeSourceCommit": {"commitId": NEW},
        "completionOptions": {"mergeStrategy": strategy},
    }


@pytest.mark.parametrize("changes", [{"mergeStatus": "queued"}, {"status": "active"}])
def test_a_merge_that_comes_later_has_no_commit_yet(changes):
    host = on({f"GET {PULLS}/7": change(), f"PATCH {PULLS}/7": change(status="completed") | changes})
    assert ask(lambda provider, _: provider.merge_change(WEB, 7, sha=NEW), host) is None


@pytest.mark.parametrize(
    ("found", "patched", "words"),
    [
        (change(lastMergeSourceCommit={"commitId": OTHER}), None, "moved"),
        (change(status="completed"), None, "completed, not active"),
        (change(), Answer(409, {"message": "TF401192: the pull request was updated"}), "TF401192"),
    ],
)
def test_one_that_moved_or_is_done_is_a_conflict(found, patched, words):
    host = on({f"GET {PULLS}/7": found} | ({f"PATCH {PULLS}/7": patched} if patched else {}))
    with pytest.raises(api.Conflict, match=words):
        ask(lambda provider, _: provider.merge_change(WEB, 7, sha=NEW), host)
    assert bool(patched) == bool([one for one in host.asked if one.method == "PATCH"])


def test_completing_is_not_tried_twice():
    host = on({f"GET {PULLS}/7": change(), f"PATCH {PULLS}/7": Answer(502, b"")})
    with pytest.raises(api.Unavailable):
        ask(lambda provider, _: provider.merge_change(WEB, 7, sha=NEW), host)
    assert len([one for one in host.asked if one.method == "PATCH"]) == 1


def test_a_pull_request_that_is_not_there():
    with pytest.raises(api.NotFound):
        ask(lambda provider, _: provider.change(WEB, 9), GitHost())
