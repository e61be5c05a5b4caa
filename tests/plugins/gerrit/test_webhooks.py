"""What Gerrit's events mean: payloads of our own, written after the documentation, beside what they must give."""

from __future__ import annotations

import json

import pytest

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate_plugins import gerrit

KIND = next(iter(gerrit.headgate_providers()))
A, B, ZERO = "a1" * 20, "b2" * 20, "0" * 40
ADA = {"name": "Ada", "email": "ada@acme.example", "username": "ada"}
GRACE = {"name": "Grace", "email": "grace@acme.example", "username": "grace"}
URL = "https://review.acme.example:8443/r/c/acme/web/+/1234"
CHANGE = {
    "project": "acme/web",
    "branch": "main",
    "id": "I" + A,
    "number": 1234,
    "subject": "Add a thing",
    "owner": ADA,
    "url": URL,
    "status": "NEW",
}
PATCH_SET = {"number": 2, "revision": A, "ref": "refs/changes/34/1234/2", "kind": "REWORK"}
REPOSITORY = api.Repository(host="review.acme.example:8443", path="acme/web")


def read(kind, **fields):
    payload = {"type": kind, "eventCreatedOn": 1767614400} | fields
    reading = KIND.read(
        api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=json.dumps(payload).encode())
    )
    if isinstance(reading, api.Parsed):
        for event in reading.events:
            check_event(event, KIND)
    return reading


def change(kind, **fields):
    (event,) = read(kind, **{"change": CHANGE, "patchSet": PATCH_SET} | fields).events
    return event


def expected(action, actor, **fields):
    event = api.ChangeRequest(
        repository=REPOSITORY,
        number=1234,
        action=action,
        title="Add a thing",
        source=api.ChangeSource(repository=REPOSITORY, branch="changes/34/1234/2", sha=A),
        target=api.ChangeTarget(branch="main"),
        author="ada",
        actor=actor,
        url=URL,
        head_ref="refs/changes/34/1234/2",
    )
    return api_replace(event, **fields)


def api_replace(event, **fields):
    import msgspec

    return msgspec.structs.replace(event, **fields)


@pytest.mark.parametrize(
    ("kind", "who", "action"),
    [
        ("patchset-created", "uploader", "updated"),
        ("draft-published", "uploader", "ready"),
        ("change-merged", "submitter", "merged"),
        ("change-abandoned", "abandoner", "closed"),
        ("change-restored", "restorer", "reopened"),
        ("wip-state-changed", "changer", "ready"),
        ("private-state-changed", "changer", "ready"),
        ("topic-changed", "changer", "edited"),
    ],
)
def test_what_happens_to_a_change(kind, who, action):
    assert change(kind, **{who: GRACE}) == expected(action, "grace")
    assert change(kind) == expected(action, None)  # any field may be missing


def test_the_first_patch_set_opens_a_change():
    first = {"number": 1, "revision": A, "ref": "refs/changes/34/1234/1"}
    event = change("patchset-created", patchSet=first)
    assert (event.action, event.head_ref) == ("opened", "refs/changes/34/1234/1")


@pytest.mark.parametrize(
    "kind", ["REWORK", "TRIVIAL_REBASE", "MERGE_FIRST_PARENT_UPDATE", "NO_CODE_CHANGE", "NO_CHANGE"]
)
def test_any_later_patch_set_is_a_new_head(kind):
    """It is another commit, which has no vote of its own yet."""
    assert change("patchset-created", patchSet=PATCH_SET | {"kind": kind}).action == "updated"


def test_numbers_may_be_text():
    event = change("patchset-created", change=CHANGE | {"number": "1234"}, patchSet=PATCH_SET | {"number": "2"})
    assert event == expected("updated", None)


@pytest.mark.parametrize(
    "ref", [None, "refs/heads/main", "refs/changes/34/1234/2/../../../heads/main", "--upload-pack=x"]
)
def test_a_ref_that_is_none_of_a_patch_set_is_made_as_gerrit_makes_it(ref):
    """What is fetched must be what the change offers."""
    assert change("patchset-created", patchSet=PATCH_SET | {"ref": ref}).head_ref == "refs/changes/34/1234/2"


def test_the_shard_of_a_small_number_has_two_digits():
    event = change("patchset-created", change=CHANGE | {"number": 7}, patchSet={"number": 3, "revision": A})
    assert event.head_ref == "refs/changes/07/7/3"


@pytest.mark.parametrize(
    ("changed", "patched"),
    [({"wip": True}, {}), ({"private": True}, {}), ({"status": "DRAFT"}, {}), ({}, {"isDraft": True})],
)
def test_what_only_its_owner_works_on_is_a_draft(changed, patched):
    fields = {"change": CHANGE | changed, "patchSet": PATCH_SET | patched}
    assert change("patchset-created", **fields).draft
    assert not change("patchset-created").draft
    for kind in ("wip-state-changed", "private-state-changed"):
        event = change(kind, **fields)
        assert (event.action, event.draft) == ("draft", True)


def test_hashtags_are_labels_where_the_commit_is_known():
    tags = {"editor": GRACE, "hashtags": ["ci", "docs"]}
    assert change("hashtags-changed", added=["ci"], **tags) == expected("labelled", "grace", labels=("ci", "docs"))
    assert change("hashtags-changed", removed=["x"], **tags).action == "unlabelled"
    assert change("patchset-created", change=CHANGE | {"hashtags": ["ci"]}).labels == ("ci",)


@pytest.mark.parametrize(
    "kind", ["hashtags-changed", "topic-changed", "wip-state-changed", "private-state-changed", "change-abandoned"]
)
def test_without_a_patch_set_there_is_nothing_to_build(kind):
    reading = read(kind, change=CHANGE)
    assert isinstance(reading, api.Ignored)
    assert "commit" in reading.reason


def test_a_patch_set_that_is_no_commit_is_nothing_to_build():
    nothing = PATCH_SET | {"revision": ZERO}
    assert isinstance(read("change-merged", change=CHANGE, patchSet=nothing), api.Ignored)
    approvals = [{"type": "Code-Review", "value": "2", "oldValue": "0"}]
    (event,) = read("comment-added", change=CHANGE, patchSet=nothing, comment=WORDS, approvals=approvals).events
    assert isinstance(event, api.Comment)
    assert event.sha is None


WORDS = "Patch Set 2:\n\n(1 comment)\n\n/retest"


def test_words_are_a_comment():
    (event,) = read("comment-added", change=CHANGE, patchSet=PATCH_SET, author=GRACE, comment=WORDS).events
    assert event == api.Comment(
        repository=REPOSITORY,
        on="review",
        action="created",
        body=WORDS,
        author="grace",
        change=1234,
        sha=A,
        actor="grace",
        url=URL,
    )


@pytest.mark.parametrize(
    ("approvals", "comment", "verdict"),
    [
        ([{"type": "Code-Review", "value": "2", "oldValue": "0"}], "Patch Set 2: Code-Review+2", "approved"),
        ([{"type": "Code-Review", "value": 2, "oldValue": -1}], "Patch Set 2: Code-Review+2", "approved"),
        ([{"type": "Code-Review", "value": "-2", "oldValue": "0"}], "Patch Set 2: Code-Review-2", "rejected"),
        # Opinions, another label, a vote that stood before, and one that is repeated without words.
        ([{"type": "Code-Review", "value": "1", "oldValue": "0"}], "Patch Set 2: Code-Review+1", None),
        ([{"type": "Code-Review", "value": "-1", "oldValue": "0"}], "Patch Set 2: Code-Review-1", None),
        ([{"type": "Verified", "value": "2", "oldValue": "0"}], "Patch Set 2: Verified+2", None),
        ([{"type": "Code-Review", "value": "2", "oldValue": "2"}], WORDS, None),
        ([{"type": "Code-Review", "value": "2"}, {"type": "Verified", "value": "1", "oldValue": "0"}], WORDS, None),
        # Old servers say what was voted in the first line only.
        ([{"type": "Code-Review", "value": "2"}], "Patch Set 2: Code-Review+2\n\nfine", "approved"),
        ([{"type": "Code-Review", "value": "-2"}], "Patch Set 2: Code-Review-2 Verified+1", "rejected"),
        ([{"type": "Code-Review", "value": "2"}], "Patch Set 2:\n\nwhy Code-Review+2 ?", None),
        ([{"type": "Code-Review"}], WORDS, None),
    ],
)
def test_only_a_vote_that_was_just_cast_and_decides_is_a_verdict(approvals, comment, verdict):
    events = read(
        "comment-added", change=CHANGE, patchSet=PATCH_SET, author=GRACE, comment=comment, approvals=approvals
    ).events
    assert [one.action for one in events] == [*([verdict] if verdict else []), "created"]
    if verdict:
        assert events[0] == expected(verdict, "grace")


def test_a_review_without_words_or_verdict_says_nothing():
    assert isinstance(read("comment-added", change=CHANGE, patchSet=PATCH_SET, author=GRACE), api.Ignored)


def update(ref="refs/heads/main", before=A, after=B, project="acme/web"):
    return {"project": project, "refName": ref, "oldRev": before, "newRev": after}


LOCAL = api.Repository(host="localhost", path="acme/web")


@pytest.mark.parametrize(
    ("moved", "event"),
    [
        (update(), api.Push(repository=LOCAL, ref="refs/heads/main", before=A, after=B, actor="ada")),
        (update("main"), api.Push(repository=LOCAL, ref="refs/heads/main", before=A, after=B, actor="ada")),
        (
            update("refs/heads/dev/x", before=ZERO),
            api.Push(repository=LOCAL, ref="refs/heads/dev/x", before=None, after=B, actor="ada"),
        ),
        (
            update("refs/heads/gone", after=ZERO),
            api.Push(repository=LOCAL, ref="refs/heads/gone", before=A, after=None, actor="ada"),
        ),
        (
            update("refs/tags/v1", before=ZERO),
            api.Tag(repository=LOCAL, ref="refs/tags/v1", tag="v1", before=None, after=B, actor="ada"),
        ),
        (
            update("refs/tags/v1"),
            api.Tag(repository=LOCAL, ref="refs/tags/v1", tag="v1", before=A, after=B, actor="ada", forced=True),
        ),
        (
            update("refs/tags/v1", after=ZERO),
            api.Tag(repository=LOCAL, ref="refs/tags/v1", tag="v1", before=A, after=None, actor="ada"),
        ),
    ],
)
def test_branches_and_tags_that_move(moved, event):
    assert read("ref-updated", refUpdate=moved, submitter=ADA).events == (event,)


@pytest.mark.parametrize(
    "ref",
    ["refs/changes/34/1234/2", "refs/changes/34/1234/meta", "refs/meta/config", "refs/users/01/1", "refs/notes/review"],
)
def test_other_refs_are_passed_over_with_their_name(ref):
    reading = read("ref-updated", refUpdate=update(ref), submitter=ADA)
    assert isinstance(reading, api.Ignored)
    assert ref in reading.reason


def test_several_refs_at_once():
    events = read(
        "batch-ref-updated",
        submitter=ADA,
        refUpdates=[update(), update("refs/changes/34/1234/meta"), update("refs/tags/v1", before=ZERO)],
    ).events
    assert [event.ref for event in events] == ["refs/heads/main", "refs/tags/v1"]
    assert isinstance(read("batch-ref-updated", refUpdates=[update("refs/meta/config")]), api.Ignored)
    assert isinstance(read("batch-ref-updated", refUpdates=[]), api.Ignored)


@pytest.mark.parametrize(
    "kind",
    [
        "assignee-changed",
        "change-deleted",
        "dropped-output",
        "project-created",
        "project-head-updated",
        "ref-replicated",
        "ref-replication-done",
        "reviewer-added",
        "reviewer-deleted",
        "vote-deleted",
        "invented-tomorrow",
    ],
)
def test_what_no_job_waits_for_is_ignored_by_name(kind):
    reading = read(kind)
    assert isinstance(reading, api.Ignored)
    assert kind in reading.reason


@pytest.mark.parametrize(
    "fields",
    [
        {"change": CHANGE | {"number": "12x"}},
        {"change": CHANGE | {"number": -1}},
        {"change": CHANGE | {"number": "9" * 20}},
        {"change": CHANGE | {"project": "../etc"}},
        {"change": CHANGE | {"project": None}},
        {"change": CHANGE | {"url": "/c/1234"}},
        {"change": {"project": "acme/web"}},
        {"patchSet": PATCH_SET | {"revision": "a1b2"}},
        {"patchSet": PATCH_SET | {"revision": "HEAD"}},
        {"patchSet": {"number": 1}},
    ],
)
def test_a_change_that_cannot_be_meant_is_unreadable(fields):
    with pytest.raises(api.Unreadable):
        read("patchset-created", **{"change": CHANGE, "patchSet": PATCH_SET} | fields)


@pytest.mark.parametrize(
    "moved",
    [
        update("refs/heads/a..b"),
        update("refs/heads/a b"),
        update("a\nb"),
        update(""),
        update(before=ZERO, after=ZERO),
        update(before="a1"),
        update(project="/"),
    ],
)
def test_a_ref_that_cannot_be_meant_is_unreadable(moved):
    with pytest.raises(api.Unreadable):
        read("ref-updated", refUpdate=moved)


def test_a_change_without_a_url_is_of_the_connections_host():
    event = change("patchset-created", change={key: value for key, value in CHANGE.items() if key != "url"})
    assert event.repository == LOCAL
    assert event.url is None
