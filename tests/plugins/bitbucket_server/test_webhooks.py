"""What Bitbucket Data Center's webhooks mean: payloads of our own, written after the documentation."""

from __future__ import annotations

import json

import pytest

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate_plugins import bitbucket_server
from headgate_plugins.bitbucket_server.webhooks import EVENTS, QUIET, SUBSCRIBED, read

KIND = next(iter(bitbucket_server.headgate_providers()))
SITE = "https://git.acme.example/bitbucket"
OLD, NEW, SIDE, ZERO = "a1" * 20, "b2" * 20, "c3" * 20, "0" * 40

ADA = {"name": "Ada.L", "slug": "ada.l", "displayName": "Ada L", "emailAddress": "ada@acme.example", "id": 1}
BOB = {"name": "bob", "displayName": "Bob", "emailAddress": "bob@acme.example"}


def repo(key="ACME", slug="web", number=7, *, links=False):
    found = {"slug": slug, "id": number, "name": slug.title(), "project": {"key": key, "type": "NORMAL"}}
    if links:
        home = f"https://git.acme.example:8443/stash/projects/{key}/repos/{slug}"
        clone = [{"href": f"ssh://git@ssh.acme.example:7999/{key.lower()}/{slug}.git", "name": "ssh"}]
        found["links"] = {"self": [{"href": f"{home}/browse"}], "clone": clone}
    return found


def moved(ref="refs/heads/main", before=OLD, after=NEW, kind="UPDATE"):
    return {
        "ref": {"id": ref, "displayId": ref.split("/", 2)[2], "type": "TAG" if "tags" in ref else "BRANCH"},
        "refId": ref,
        "fromHash": before,
        "toHash": after,
        "type": kind,
    }


def commit(sha, *parents, message="m"):
    return {"id": sha, "message": message, "author": ADA, "parents": [{"id": parent} for parent in parents]}


def pushed(*changes, **more):
    return {"eventKey": "repo:refs_changed", "actor": ADA, "repository": repo(), "changes": [*changes], **more}


def pull_request(**more):
    return {
        "id": 7,
        "version": 3,
        "title": "Add a thing",
        "state": "OPEN",
        "fromRef": {
            "id": "refs/heads/feature/x",
            "displayId": "feature/x",
            "latestCommit": NEW,
            "repository": repo(),
        },
        "toRef": {"id": "refs/heads/main", "displayId": "main", "latestCommit": OLD, "repository": repo()},
        "author": {"user": ADA, "role": "AUTHOR", "status": "UNAPPROVED"},
        "reviewers": [],
        **more,
    }


def changed(event, **more):
    return {"eventKey": event, "actor": BOB, "pullRequest": pull_request(), **more}


def delivery(payload, *, header=None):
    headers = (("x-event-key", header),) if header else ()
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return api.Delivery(id="d", connection="c", received_at=NOW, headers=headers, body=body)


def events(payload, *, site=SITE, header=None):
    reading = read(delivery(payload, header=header), site)
    assert isinstance(reading, api.Parsed), reading
    for event in reading.events:
        check_event(event, KIND)
    return reading.events


def event(payload, **more):
    (only,) = events(payload, **more)
    return only


def ignored(payload, **more):
    reading = read(delivery(payload, **more), SITE)
    assert isinstance(reading, api.Ignored)
    return reading.reason


REPOSITORY = api.Repository(host="git.acme.example", path="ACME/web")


def test_a_push():
    assert event(pushed(moved())) == api.Push(
        repository=REPOSITORY,
        ref="refs/heads/main",
        before=OLD,
        after=NEW,
        actor="ada.l",
        url=f"{SITE}/projects/ACME/repos/web/commits/{NEW}",
    )


def test_a_tag_that_moved_was_forced():
    found = events(
        pushed(
            moved("refs/tags/v1", OLD, NEW, "UPDATE"),
            moved("refs/tags/v2", ZERO, NEW, "ADD"),
            moved("refs/tags/v3", OLD, ZERO, "DELETE"),
            moved("refs/heads/main", OLD, NEW, "UPDATE"),
        )
    )
    assert [one.forced for one in found] == [True, False, False, False]


def test_each_ref_of_a_push_is_an_event():
    found = events(
        pushed(
            moved(),
            moved("refs/heads/new", ZERO, NEW, "ADD"),
            moved("refs/heads/a/gone", OLD, ZERO, "DELETE"),
            moved("refs/tags/v1", ZERO, SIDE, "ADD"),
            moved("refs/tags/v0", OLD, ZERO, "DELETE"),
            moved("refs/notes/x"),
            commits=[commit(NEW, OLD)],
        )
    )
    assert [(type(one), one.ref, one.before, one.after) for one in found] == [
        (api.Push, "refs/heads/main", OLD, NEW),
        (api.Push, "refs/heads/new", None, NEW),
        (api.Push, "refs/heads/a/gone", OLD, None),
        (api.Tag, "refs/tags/v1", None, SIDE),
        (api.Tag, "refs/tags/v0", OLD, None),
    ]
    assert found[3].tag == "v1"
    assert not any(one.commits for one in found), "of which ref the listed commits are, nobody says"
    assert found[2].url == f"{SITE}/projects/ACME/repos/web"


def test_a_push_of_neither_branch_nor_tag_is_ignored():
    assert "no branch" in ignored(pushed(moved("refs/notes/x")))
    assert "no branch" in ignored(pushed())


def test_commits_are_told_oldest_first_with_their_pages():
    push = event(pushed(moved(), commits=[commit(NEW, SIDE, message="second"), commit(SIDE, OLD, message="first")]))
    assert push.commits == tuple(
        api.Commit(
            id=sha,
            message=message,
            author=api.Person(name="Ada L", email="ada@acme.example"),
            url=f"{SITE}/projects/ACME/repos/web/commits/{sha}",
        )
        for sha, message in ((SIDE, "first"), (NEW, "second"))
    )
    assert push.commits_complete


OTHER = "d4" * 20


@pytest.mark.parametrize(
    ("commits", "change", "complete"),
    [
        ([commit(NEW, OLD)], {}, True),
        ([commit(NEW, OLD, SIDE), commit(SIDE, OLD)], {}, True),
        # Cut: nobody says where the listed ones come from.
        ([commit(NEW, SIDE)], {}, False),
        # A merge of what the target had already: whether it did is not in the payload.
        ([commit(NEW, OLD, SIDE)], {}, False),
        # Forced: what is new does not lead to what was there.
        ([commit(NEW, OTHER)], {}, False),
        ([commit(SIDE, OLD)], {}, False),
        ([commit(NEW)], {}, False),
        ([commit(NEW, OLD), commit(SIDE)], {}, False),
        ([], {}, False),
        ([commit(NEW, OLD)], {"before": ZERO, "kind": "ADD"}, False),
        ([commit(NEW, OLD)], {"after": ZERO, "kind": "DELETE"}, False),
    ],
)
def test_commits_are_complete_only_when_they_lead_back_to_before(commits, change, complete):
    assert event(pushed(moved(**change), commits=commits)).commits_complete is complete


def test_links_name_the_host_and_the_pages():
    """A server behind another name than the one we ask is told apart by nobody: its links count."""
    push = event({**pushed(moved()), "repository": repo(links=True)})
    assert push.repository.host == "git.acme.example:8443"
    assert push.url == f"https://git.acme.example:8443/stash/projects/ACME/repos/web/commits/{NEW}"


@pytest.mark.parametrize(
    ("links", "host"),
    [
        ({"self": [None]}, "git.acme.example"),
        ({"self": []}, "git.acme.example"),
        ({"clone": [{"href": "ssh://git@ssh.acme.example:7999/acme/web.git", "name": "ssh"}]}, "git.acme.example"),
        ({"clone": [{"href": "https://ada@Clone.example/scm/acme/web.git", "name": "http"}]}, "clone.example"),
    ],
)
def test_the_host_of_ssh_is_not_the_host(links, host):
    assert event({**pushed(moved()), "repository": {**repo(), "links": links}}).repository.host == host


def test_offline_nothing_is_made_up():
    push = event(pushed(moved()), site=None)
    assert (push.repository.host, push.url) == ("bitbucket.invalid", None)
    assert event(changed("pr:opened"), site=None).url is None


def test_a_personal_repository():
    push = event({**pushed(moved()), "repository": repo("~ADA.L", "x")})
    assert push.repository.path == "~ADA.L/x"
    assert KIND.normalise(push.repository.path) == "~ada.l/x"


def test_a_pull_request_is_opened():
    assert event(changed("pr:opened")) == api.ChangeRequest(
        repository=REPOSITORY,
        number=7,
        action="opened",
        title="Add a thing",
        source=api.ChangeSource(repository=REPOSITORY, branch="feature/x", sha=NEW),
        target=api.ChangeTarget(branch="main", sha=OLD),
        author="ada.l",
        actor="bob",
        url=f"{SITE}/projects/ACME/repos/web/pull-requests/7",
        head_ref="refs/pull-requests/7/from",
    )


@pytest.mark.parametrize(
    ("key", "action"),
    [
        ("pr:opened", "opened"),
        ("pr:from_ref_updated", "updated"),
        ("pr:modified", "edited"),
        ("pr:reopened", "reopened"),
        ("pr:merged", "merged"),
        ("pr:declined", "closed"),
        ("pr:deleted", "closed"),
        ("pr:reviewer:approved", "approved"),
        ("pr:reviewer:needs_work", "rejected"),
        ("pr:reviewer:changes_requested", "rejected"),
    ],
)
def test_what_happens_to_a_pull_request(key, action):
    assert event(changed(key)).action == action


def target(branch):
    return {"id": f"refs/heads/{branch}", "displayId": branch, "latestCommit": OLD}


@pytest.mark.parametrize(
    ("draft", "previous", "action"),
    [
        (False, {"previousTitle": "Add it", "previousTarget": target("main"), "previousDraft": False}, "edited"),
        (True, {"previousDraft": False}, "draft"),
        (False, {"previousDraft": True}, "ready"),
        (True, {"previousDraft": True}, "edited"),
        # What would be merged is another now, even if it was marked ready at once.
        (False, {"previousTarget": target("wrong"), "previousDraft": True}, "updated"),
    ],
)
def test_what_was_modified(draft, previous, action):
    change = event({**changed("pr:modified"), "pullRequest": pull_request(draft=draft), **previous})
    assert (change.action, change.draft) == (action, draft)


@pytest.mark.parametrize(
    ("source", "fork", "path"),
    [
        (repo(), False, "ACME/web"),
        (repo("~ADA.L", number=8), True, "~ADA.L/web"),
        # The same name and another id: it was deleted and made again, and is not what is asked for now.
        (repo(number=9), True, "ACME/web"),
        ({"slug": "web", "project": {"key": "acme"}}, False, "acme/web"),
        ({"slug": "web", "project": {"key": "FORK"}}, True, "FORK/web"),
        (None, True, None),
    ],
)
def test_forks_are_told(source, fork, path):
    payload = changed("pr:opened")
    payload["pullRequest"]["fromRef"]["repository"] = source
    change = event(payload)
    assert change.from_fork is fork
    assert (change.source.repository.path if change.source.repository else None) == path
    assert change.repository == REPOSITORY


COMMENT = {"id": 62, "version": 0, "text": "/retest", "author": ADA}


@pytest.mark.parametrize(("key", "action"), [("added", "created"), ("edited", "edited"), ("deleted", "deleted")])
def test_comments_on_a_pull_request(key, action):
    assert event(changed(f"pr:comment:{key}", comment=COMMENT)) == api.Comment(
        repository=REPOSITORY,
        on="change_request",
        action=action,
        body="/retest",
        author="ada.l",
        change=7,
        sha=NEW,
        actor="bob",
        url=f"{SITE}/projects/ACME/repos/web/pull-requests/7/overview?commentId=62",
    )


def test_a_comment_on_a_line_is_of_a_review():
    anchored = {**COMMENT, "anchor": {"path": "src/a.py", "line": 3}}
    assert event(changed("pr:comment:added", comment=anchored)).on == "review"


@pytest.mark.parametrize(("key", "action"), [("added", "created"), ("edited", "edited"), ("deleted", "deleted")])
def test_comments_on_a_commit(key, action):
    payload = {"eventKey": f"repo:comment:{key}", "actor": BOB, "repository": repo(), "comment": COMMENT, "commit": NEW}
    assert event(payload) == api.Comment(
        repository=REPOSITORY,
        on="commit",
        action=action,
        body="/retest",
        author="ada.l",
        sha=NEW,
        actor="bob",
        url=f"{SITE}/projects/ACME/repos/web/commits/{NEW}?commentId=62",
    )


def test_the_test_button_pings():
    assert event({"test": True}, header="diagnostics:ping") == api.Ping()
    assert event({"test": True}) == api.Ping(), "offline, without its header"


def test_every_key_has_a_test_or_a_reason():
    """And what a webhook is made for is what is read."""
    for key in QUIET:
        assert key in ignored({"eventKey": key})
    assert set(SUBSCRIBED) <= set(EVENTS)
    assert {"pr:reopened", "diagnostics:ping"}.isdisjoint(SUBSCRIBED), "a server refuses a webhook with an unknown key"


@pytest.mark.parametrize("key", ["repo:push", "pullrequest:created", "repo:commit_status_created"])
def test_the_keys_of_the_cloud_and_of_old_add_ons_say_what_to_do(key):
    assert "Cloud" in ignored({"push": {}}, header=key)


def test_the_key_in_the_signed_body_counts():
    """The header is not signed: whoever records a delivery could send it again as another."""
    assert event(changed("pr:declined"), header="pr:opened").action == "closed"
    without = changed("")
    del without["eventKey"]
    assert event(without, header="pr:opened").action == "opened"


@pytest.mark.parametrize(
    "changes",
    [
        {"changes": [moved(before=ZERO, after=ZERO)]},
        {"changes": [moved(before="a1", after=NEW)]},
        {"changes": [moved(after="g" * 40)]},
        {"changes": None},
        {"commits": [commit("short")]},
        {"commits": [commit(NEW, "short")]},
        {"repository": {**repo(), "slug": "../etc"}},
        {"repository": {**repo(), "links": {"self": [{"href": "https://[/"}]}}},
        {"repository": {}},
    ],
)
def test_a_push_that_cannot_be_meant_is_unreadable(changes):
    with pytest.raises(api.Unreadable):
        read(delivery({**pushed(moved()), **changes}))


def test_a_pull_request_that_cannot_be_meant_is_unreadable():
    for end, key in (("fromRef", "latestCommit"), ("toRef", "repository"), ("toRef", "id")):
        payload = changed("pr:opened")
        del payload["pullRequest"][end][key]
        with pytest.raises(api.Unreadable):
            read(delivery(payload))


@pytest.mark.parametrize("header", [None, "", "é", "a\tb", "\udcff"])
def test_a_delivery_that_names_no_event_is_unreadable(header):
    for body in (b"{}", b"[]", b'{"eventKey": 7}'):
        with pytest.raises(api.Unreadable, match="X-Event-Key"):
            read(delivery(body, header=header))
