"""What Bitbucket Cloud's webhooks mean: payloads of our own, written after the documentation."""

from __future__ import annotations

import json

import msgspec
import pytest

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate_plugins import bitbucket
from headgate_plugins.bitbucket import webhooks

KIND = next(iter(bitbucket.headgate_providers()))
OLD, NEW, MID = "a1" * 20, "b2" * 20, "c3" * 20
ADA = {"display_name": "Ada L", "nickname": "ada", "uuid": "{11111111-2222-3333-4444-555555555555}", "type": "user"}
BOB = {"display_name": "Bob B", "nickname": "bob", "type": "user"}
REPO = {
    "type": "repository",
    "full_name": "acme/web",
    "name": "Web",
    "links": {"html": {"href": "https://bitbucket.org/acme/web"}},
}
FORK = {**REPO, "full_name": "bob/web", "links": {"html": {"href": "https://bitbucket.org/bob/web"}}}
HERE = api.Repository(host="bitbucket.org", path="acme/web")
PAGE = "https://bitbucket.org/acme/web"


def commit(sha, message="Add a thing\n"):
    return {
        "hash": sha,
        "type": "commit",
        "message": message,
        "author": {"raw": "Ada L <ada@acme.example>", "user": ADA},
        "links": {"html": {"href": f"{PAGE}/commits/{sha}"}},
    }


def ref(name, sha, kind="branch"):
    return {"type": kind, "name": name, "target": {"hash": sha, "type": "commit"}}


def moved(**changes):
    return {
        "old": ref("main", OLD),
        "new": ref("main", NEW),
        "created": False,
        "closed": False,
        "forced": False,
        "truncated": False,
        "commits": [commit(NEW), commit(MID, "First\n")],
        "links": {"html": {"href": f"{PAGE}/branches/compare/{NEW}..{OLD}"}},
        **changes,
    }


def pushed(*changes):
    return {"push": {"changes": list(changes)}, "repository": REPO, "actor": ADA}


def pull(**changes):
    return {
        "actor": BOB,
        "repository": REPO,
        "pullrequest": {
            "id": 7,
            "title": "Add a thing",
            "state": "OPEN",
            "draft": False,
            "author": ADA,
            "source": {
                "branch": {"name": "feature/thing"},
                "commit": {"hash": "b2b2b2b2b2b2"},
                "repository": REPO,
            },
            "destination": {"branch": {"name": "main"}, "commit": {"hash": "a1a1a1a1a1a1"}, "repository": REPO},
            "links": {"html": {"href": f"{PAGE}/pull-requests/7"}},
            **changes,
        },
    }


def commented(**changes):
    comment = {
        "id": 17,
        "content": {"raw": "Please build", "type": "rendered"},
        "user": BOB,
        "links": {"html": {"href": f"{PAGE}/pull-requests/7/_/diff#comment-17"}},
        **changes,
    }
    return {**pull(), "comment": comment}


def built(**changes):
    told = {
        "key": "lint",
        "name": "Lint #4",
        "state": "SUCCESSFUL",
        "url": "https://ci.acme.example/4",
        "refname": "main",
        "commit": {"hash": NEW, "type": "commit"},
        **changes,
    }
    return {"commit_status": told, "repository": REPO, "actor": ADA}


def delivery(event, payload):
    headers = (("x-event-key", event), ("content-type", "application/json"))
    return api.Delivery(id="d", connection="c", received_at=NOW, headers=headers, body=json.dumps(payload).encode())


def read(event, payload):
    reading = KIND.read(delivery(event, payload))
    if isinstance(reading, api.Parsed):
        for found in reading.events:
            check_event(found, KIND)
    return reading


def one(event, payload):
    (found,) = read(event, payload).events
    return found


# -- pushes


def test_a_push_is_a_push():
    author = api.Person(name="Ada L", email="ada@acme.example")
    assert one("repo:push", pushed(moved())) == api.Push(
        repository=HERE,
        ref="refs/heads/main",
        before=OLD,
        after=NEW,
        actor="ada",
        url=f"{PAGE}/branches/compare/{NEW}..{OLD}",
        commits=(
            api.Commit(id=NEW, message="Add a thing\n", author=author, url=f"{PAGE}/commits/{NEW}"),
            api.Commit(id=MID, message="First\n", author=author, url=f"{PAGE}/commits/{MID}"),
        ),
        commits_complete=True,
    )


def test_every_ref_of_a_push_is_an_event_of_its_own():
    """Bitbucket sends one delivery for `git push --all --tags`."""
    payload = pushed(
        moved(),
        moved(old=None, new=ref("feature/x", NEW), created=True),
        moved(old=ref("gone", OLD), new=None, closed=True, commits=None),
        moved(old=None, new=ref("v1", NEW, "tag"), created=True, commits=None),
        moved(old=ref("v0", OLD, "annotated_tag"), new=None, closed=True, commits=None),
        moved(old=ref("v2", OLD, "tag"), new=ref("v2", NEW, "tag"), forced=True, commits=None),
    )
    seen = [
        (type(event), event.ref, event.before, event.after, event.forced) for event in read("repo:push", payload).events
    ]
    assert seen == [
        (api.Push, "refs/heads/main", OLD, NEW, False),
        (api.Push, "refs/heads/feature/x", None, NEW, False),
        (api.Push, "refs/heads/gone", OLD, None, False),
        (api.Tag, "refs/tags/v1", None, NEW, False),
        (api.Tag, "refs/tags/v0", OLD, None, False),
        (api.Tag, "refs/tags/v2", OLD, NEW, True),
    ]


@pytest.mark.parametrize(
    ("changes", "complete"),
    [
        ({}, True),
        ({"truncated": True}, False),
        ({"truncated": None}, False),
        ({"forced": True}, False),
        ({"old": None, "created": True}, False),
        ({"commits": []}, False),
        ({"commits": None}, False),
        ({"commits": [commit(MID)]}, False),
        ({"commits": [commit(NEW), *(commit(f"{n}d" * 20) for n in range(4))], "truncated": False}, True),
        ({"commits": [commit(NEW), *(commit(f"{n}d" * 20) for n in range(4))], "truncated": True}, False),
    ],
)
def test_commits_are_complete_only_when_bitbucket_says_so(changes, complete):
    """It lists five at most, newest first."""
    assert one("repo:push", pushed(moved(**changes))).commits_complete is complete


@pytest.mark.parametrize(
    "changes", [[], [moved(old=None, new=None)], [moved(old=ref("mark", OLD, "bookmark"), new=None)]]
)
def test_a_push_that_moves_no_branch_and_no_tag_is_ignored(changes):
    reading = read("repo:push", pushed(*changes))
    assert isinstance(reading, api.Ignored)
    assert "neither a branch nor a tag" in reading.reason


def test_a_ref_of_another_kind_does_not_hide_the_branch_beside_it():
    event = one("repo:push", pushed(moved(old=ref("mark", OLD, "bookmark"), new=None), moved()))
    assert event.ref == "refs/heads/main"


@pytest.mark.parametrize(
    ("raw", "name", "email"),
    [
        ("Ada L <ada@acme.example>", "Ada L", "ada@acme.example"),
        ("Ada L", "Ada L", ""),
        ("<ada@acme.example>", "", "ada@acme.example"),
        ("Ada <of> Lovelace <ada@acme.example>", "Ada <of> Lovelace <ada@acme.example>", ""),
        ("", "", ""),
    ],
)
def test_an_author_is_a_name_and_an_address(raw, name, email):
    changed = {**commit(NEW), "author": {"raw": raw}}
    (told,) = one("repo:push", pushed(moved(commits=[changed]))).commits
    assert (told.author.name, told.author.email) == (name, email)


def test_an_author_without_a_raw_form_is_the_account():
    for author in ({"user": ADA}, ADA):
        changed = {**commit(NEW), "author": author}
        assert one("repo:push", pushed(moved(commits=[changed]))).commits[0].author == api.Person(name="ada")


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"push": {}, "repository": REPO},
        pushed(moved(new=ref("main", "b2b2b2b2b2b2"))),
        pushed(moved(new=ref("main", "g" * 40))),
        {**pushed(moved()), "repository": {"full_name": "../etc"}},
        {**pushed(moved()), "repository": {"full_name": "acme"}},
        {**pushed(moved()), "repository": {}},
        {**pushed(moved()), "repository": {**REPO, "links": {"html": {"href": "https://[/"}}}},
    ],
)
def test_a_push_that_cannot_be_meant_is_unreadable(payload):
    """A short sha of a push is none that Bitbucket sends: only pull requests have them."""
    with pytest.raises(api.Unreadable):
        read("repo:push", payload)


@pytest.mark.parametrize(
    ("actor", "name"),
    [
        ({"username": "acme", "display_name": "Acme Inc", "type": "team"}, "acme"),
        (ADA, "ada"),
        ({"display_name": "Ada L"}, "Ada L"),
        ({}, None),
        (None, None),
    ],
)
def test_an_actor_is_named_by_what_there_is(actor, name):
    assert one("repo:push", {**pushed(moved()), "actor": actor}).actor == name


def test_the_documentations_pages_are_on_the_host_of_the_api():
    links = {"html": {"href": "https://api.bitbucket.org/acme/web"}}
    event = one("repo:push", {**pushed(moved()), "repository": {**REPO, "links": links}})
    assert event.repository == HERE


def test_a_repository_without_its_full_name_is_named_by_its_workspace():
    repository = {"name": "web", "workspace": {"slug": "acme"}, "mainbranch": {"name": "main"}}
    event = one("repo:push", {**pushed(moved()), "repository": repository})
    assert (event.repository, event.default_branch) == (HERE, "main")


# -- pull requests


def test_a_pull_request_keeps_the_digits_that_bitbucket_sends():
    assert one("pullrequest:created", pull()) == api.ChangeRequest(
        repository=HERE,
        number=7,
        action="opened",
        title="Add a thing",
        source=api.ChangeSource(repository=HERE, branch="feature/thing", sha="b2b2b2b2b2b2"),
        target=api.ChangeTarget(branch="main", sha="a1a1a1a1a1a1"),
        author="ada",
        actor="bob",
        url=f"{PAGE}/pull-requests/7",
    )


@pytest.mark.parametrize(
    ("event", "action"),
    [
        ("pullrequest:created", "opened"),
        ("pullrequest:updated", "updated"),
        ("pullrequest:approved", "approved"),
        ("pullrequest:changes_request_created", "rejected"),
        ("pullrequest:fulfilled", "merged"),
        ("pullrequest:rejected", "closed"),
    ],
)
def test_what_happens_to_a_pull_request(event, action):
    assert one(event, pull()).action == action


@pytest.mark.parametrize(
    "event",
    [
        "pullrequest:unapproved",
        "pullrequest:changes_request_removed",
        "pullrequest:comment_resolved",
        "pullrequest:comment_reopened",
        "repo:fork",
        "repo:updated",
        "repo:transfer",
        "repo:deleted",
        "issue:created",
        "issue:comment_created",
        "project:updated",
        "something:new",
    ],
)
def test_what_no_job_waits_for_is_ignored_by_its_name(event):
    reading = read(event, {"anything": 1})
    assert isinstance(reading, api.Ignored)
    assert event in reading.reason


@pytest.mark.parametrize(
    ("repository", "fork"), [(REPO, False), ({**REPO, "full_name": "Acme/WEB"}, False), (FORK, True), (None, True)]
)
def test_a_fork_is_told_by_its_name(repository, fork):
    """One that was deleted is null."""
    source = {"branch": {"name": "x"}, "commit": {"hash": NEW}, "repository": repository}
    event = one("pullrequest:updated", pull(source=source))
    assert (event.from_fork, event.head_ref, event.source.sha) == (fork, None, NEW)
    assert (event.source.repository is None) is (repository is None)


@pytest.mark.parametrize(("draft", "told"), [(True, True), (False, False), (None, False)])
def test_a_draft_says_so(draft, told):
    assert one("pullrequest:created", pull(draft=draft)).draft is told


def test_a_pull_request_whose_source_is_gone_is_ignored():
    source = {"branch": {"name": "x"}, "commit": None, "repository": None}
    reading = read("pullrequest:rejected", pull(source=source))
    assert isinstance(reading, api.Ignored)
    assert "7 names no commit" in reading.reason


def test_a_deleted_account_has_a_name():
    assert one("pullrequest:created", pull(author=None)).author == "former user"


@pytest.mark.parametrize("sha", ["", "b2", "main", "g" * 12, "b2" * 33])
def test_a_pull_request_of_no_commit_is_unreadable(sha):
    source = {"branch": {"name": "x"}, "commit": {"hash": sha}, "repository": REPO}
    with pytest.raises(api.Unreadable, match="no commit id"):
        read("pullrequest:created", pull(source=source))


# -- comments and build statuses


@pytest.mark.parametrize(
    ("event", "action"),
    [
        ("pullrequest:comment_created", "created"),
        ("pullrequest:comment_updated", "edited"),
        ("pullrequest:comment_deleted", "deleted"),
    ],
)
def test_a_comment_on_a_pull_request(event, action):
    assert one(event, commented()) == api.Comment(
        repository=HERE,
        on="change_request",
        action=action,
        body="Please build",
        author="bob",
        change=7,
        actor="bob",
        url=f"{PAGE}/pull-requests/7/_/diff#comment-17",
    )


def test_a_comment_on_a_line_is_part_of_a_review():
    assert one("pullrequest:comment_created", commented(inline={"path": "a.py", "to": 5})).on == "review"


def test_a_comment_without_a_text_is_empty():
    assert one("pullrequest:comment_deleted", commented(content=None, user=None)).body == ""


@pytest.mark.parametrize(
    ("event", "actor", "author"),
    [
        ("pullrequest:comment_created", ADA, "ada"),
        ("pullrequest:comment_created", None, "former user"),
        # Who takes a comment away need not have written it.
        ("pullrequest:comment_deleted", ADA, "former user"),
    ],
)
def test_a_comment_without_an_author_is_of_whoever_makes_it(event, actor, author):
    """The documentation's comments have no user, only an actor beside them."""
    assert one(event, {**commented(user=None), "actor": actor}).author == author


def test_a_comment_on_a_commit():
    payload = {**commented(), "commit": {"hash": NEW}}
    event = one("repo:commit_comment_created", payload)
    assert (event.on, event.sha, event.change, event.action) == ("commit", NEW, None, "created")


@pytest.mark.parametrize(
    ("state", "told"),
    [("INPROGRESS", "pending"), ("SUCCESSFUL", "success"), ("FAILED", "failure"), ("STOPPED", "error")],
)
@pytest.mark.parametrize("event", ["repo:commit_status_created", "repo:commit_status_updated"])
def test_a_build_status(event, state, told):
    assert one(event, built(state=state)) == api.CiStatus(
        repository=HERE,
        sha=NEW,
        context="lint",
        state=told,
        branches=("main",),
        actor="ada",
        url="https://ci.acme.example/4",
    )


def test_a_build_status_of_the_documented_form_names_its_commit_by_a_link():
    links = {"commit": {"href": f"https://api.bitbucket.org/2.0/repositories/acme/web/commit/{NEW}"}}
    assert one("repo:commit_status_created", built(commit=None, links=links)).sha == NEW
    for href in (None, "https://api.bitbucket.org/2.0/repositories/acme/web/commit/main"):
        with pytest.raises(api.Unreadable, match="names no commit"):
            read("repo:commit_status_created", built(commit=None, links={"commit": {"href": href}}))


def test_an_unknown_state_of_a_build_is_ignored():
    reading = read("repo:commit_status_updated", built(state="PONDERING"))
    assert isinstance(reading, api.Ignored)
    assert "PONDERING" in reading.reason


# -- the envelope


@pytest.mark.parametrize("name", ["\udcff", "é", "a\tb", ""])
def test_a_delivery_without_its_event_header_is_unreadable(name):
    """Bitbucket says nowhere in a body what happened; only offline its keys are looked at."""
    nameless = msgspec.structs.replace(delivery("repo:push", pushed(moved())), headers=())
    for one in (nameless, msgspec.structs.replace(nameless, headers=(("x-event-key", name),))):
        with pytest.raises(api.Unreadable, match="X-Event-Key"):
            webhooks.read(one)
    assert isinstance(KIND.read(nameless), api.Parsed)
    with pytest.raises(api.Unreadable, match="X-Event-Key"):
        KIND.read(msgspec.structs.replace(nameless, body=b'{"actor": {}}'))


@pytest.mark.parametrize("sha", ["0" * 12, "0" * 40])
def test_zeros_are_no_head_of_a_pull_request(sha):
    source = {"branch": {"name": "thing"}, "commit": {"hash": sha}, "repository": REPO}
    with pytest.raises(api.Unreadable):
        KIND.read(delivery("pullrequest:created", pull(source=source)))
