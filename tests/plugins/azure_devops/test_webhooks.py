"""What Azure DevOps' service hooks mean: payloads of our own, written after the documentation."""

from __future__ import annotations

import azure_devops_payloads as azure
import msgspec
import pytest
from azure_devops_payloads import NEW, OLD, OTHER, PAGE, PATH, ZERO

from headgate import api
from headgate.api.testing import check_event
from headgate_plugins import azure_devops

KIND = next(iter(azure_devops.headgate_providers()))
WEB = api.Repository(host="dev.azure.com", path=PATH)


def read(payload):
    reading = KIND.read(azure.delivery(payload))
    if isinstance(reading, api.Parsed):
        for event in reading.events:
            check_event(event, KIND)
    return reading


def only(payload):
    (event,) = read(payload).events
    return event


def reason(payload):
    reading = read(payload)
    assert isinstance(reading, api.Ignored)
    return reading.reason


def test_a_push_names_what_moved_and_does_not_claim_to_list_all():
    event = only(azure.push())
    assert event == api.Push(
        repository=WEB,
        ref="refs/heads/main",
        before=OLD,
        after=NEW,
        actor="ada@acme.example",
        url=f"{PAGE}/commit/{NEW}",
        commits=(
            api.Commit(
                id=NEW,
                message="Fix the till",
                author=api.Person(name="Ada Byron", email="ada@acme.example"),
                url=f"{PAGE}/commit/{NEW}",
                paths=None,
            ),
        ),
        commits_complete=False,
        default_branch="main",
    )


def test_one_push_may_move_several_refs_and_its_commits_are_nobodys():
    reading = read(
        azure.push(
            azure.moved("refs/heads/main"),
            azure.moved("refs/heads/new", ZERO, OTHER),
            azure.moved("refs/heads/gone", OLD, ZERO),
            azure.moved("refs/tags/v1", ZERO, NEW),
            azure.moved("refs/notes/commits", ZERO, NEW),
        )
    )
    told = [(api.event_type(event), event.ref, event.before, event.after, event.commits) for event in reading.events]
    assert told == [
        ("push", "refs/heads/main", OLD, NEW, ()),
        ("push", "refs/heads/new", None, OTHER, ()),
        ("push", "refs/heads/gone", OLD, None, ()),
        ("tag", "refs/tags/v1", None, NEW, ()),
    ]


def test_the_newest_commit_stands_last():
    event = only(azure.push(commits=[azure.commit(NEW, "second"), azure.commit(OTHER, "first")]))
    assert [commit.message for commit in event.commits] == ["first", "second"]


def test_a_deleted_branch_has_no_commit_to_show():
    event = only(azure.push(azure.moved(after=ZERO), commits=[]))
    assert (event.after, event.url) == (None, PAGE)
    gone = azure.without(azure.push(azure.moved(after=ZERO)), "resource", "commits")
    assert only(gone).commits == ()


def test_a_tag_has_its_short_name():
    event = only(azure.push(azure.moved("refs/tags/v1.0", ZERO, NEW)))
    assert (event.tag, event.before, event.after, event.forced) == ("v1.0", None, NEW, False)


def test_a_tag_that_moved_was_forced():
    assert only(azure.push(azure.moved("refs/tags/v1.0"))).forced
    assert not only(azure.push(azure.moved("refs/tags/v1.0", after=ZERO))).forced


def test_other_refs_are_named_when_ignored():
    assert "refs/notes/x" in reason(azure.push(azure.moved("refs/notes/x")))


def test_the_user_of_a_remote_url_is_told_to_nobody():
    payload = azure.without(azure.push(), "resource", "repository", "webUrl")
    event = only(payload)
    assert event.repository == WEB
    assert event.url == f"{PAGE}/commit/{NEW}"


def test_an_old_address_keeps_its_host():
    url = "https://acme.visualstudio.com/DefaultCollection/_git/Web%20Shop"
    event = only(azure.push(repository=azure.REPOSITORY | {"webUrl": None, "remoteUrl": url}))
    assert event.repository == api.Repository(host="acme.visualstudio.com", path=PATH)


def test_a_server_has_its_own_host_and_accounts():
    url = "https://tfs.acme.example:8443/tfs/Main/Shop%20Floor/_git/Web%20Shop"
    repository = azure.REPOSITORY | {"webUrl": url}
    event = only(azure.push(repository=repository, pushedBy={"uniqueName": "ACME\\ada", "displayName": "Ada"}))
    assert event.repository == api.Repository(host="tfs.acme.example:8443", path=PATH)
    assert (event.actor, event.url) == ("ACME\\ada", f"{url}/commit/{NEW}")


def test_a_new_pull_request():
    event = only(azure.envelope("git.pullrequest.created", azure.pull_request(), "Ada Byron created pull request 7"))
    assert event == api.ChangeRequest(
        repository=WEB,
        number=7,
        action="opened",
        title="A faster till",
        source=api.ChangeSource(repository=WEB, branch="topic/till", sha=NEW),
        target=api.ChangeTarget(branch="main", sha=OLD),
        author="ada@acme.example",
        actor="ada@acme.example",
        url=f"{PAGE}/pullrequest/7",
        head_ref=None,
    )


def test_a_fork_and_a_draft_are_marked():
    fork = azure.REPOSITORY | {"name": "Web Fork", "project": {"name": "Ada"}}
    changes = {"forkSource": {"name": "refs/heads/x", "repository": fork}, "isDraft": True}
    labels = [{"name": "ui", "active": True}, {"name": "old", "active": False}]
    event = only(azure.envelope("git.pullrequest.created", azure.pull_request(labels=labels, **changes)))
    assert (event.from_fork, event.draft, event.labels) == (True, True, ("ui",))
    assert event.source.repository == api.Repository(host="dev.azure.com", path="Ada/Web Fork")
    gone = only(azure.envelope("git.pullrequest.created", azure.pull_request(forkSource={})))
    assert (gone.from_fork, gone.source.repository) == (True, None)


VOTED = [azure.BOB | {"vote": 10}]
REJECTED = [azure.BOB | {"vote": -10}]
WAITS = [azure.BOB | {"vote": -5}]


@pytest.mark.parametrize(
    ("text", "changes", "action", "actor"),
    [
        ("Ada Byron updated the source branch of pull request 7 (A faster till) in Web Shop", {}, "updated", "ada"),
        ("Bob approved pull request 7 (A faster till) in Web Shop", {"reviewers": VOTED}, "approved", "bob"),
        ("Bob has approved and left suggestions in pull request 7", {"reviewers": VOTED}, "approved", "bob"),
        ("Bob rejected pull request 7 (A faster till) in Web Shop", {"reviewers": REJECTED}, "rejected", "bob"),
        ("Bob has approved and left suggestions on pull request 7", {"reviewers": VOTED}, "approved", "bob"),
        ("Bob is waiting for the author in pull request 7", {"reviewers": WAITS}, "rejected", "bob"),
        ("Bob is waiting for the author on pull request 7", {"reviewers": WAITS}, "rejected", "bob"),
        ("Ada Byron published the pull request", {}, "ready", "ada"),
        ("Ada Byron marked the pull request as a draft", {"isDraft": True}, "draft", "ada"),
        ("Ada Byron reactivated pull request 7 (A faster till) in Web Shop", {}, "reopened", "ada"),
        ("Ada Byron completed pull request 7", {"status": "completed"}, "merged", "ada"),
        ("Bob abandoned pull request 7", {"status": "abandoned"}, "closed", "bob"),
        ("Eve hat den Quellbranch aktualisiert", {}, "updated", None),
        ("", {}, "updated", None),
        # The title cannot say what happened.
        ("Ada Byron updated the source branch of pull request 7 (approved pull request 8)", {}, "updated", "ada"),
    ],
)
def test_an_update_says_what_happened_in_its_status_then_in_its_words(text, changes, action, actor):
    event = only(azure.updated(text, **changes))
    assert (event.action, event.actor) == (action, actor and f"{actor}@acme.example")


def test_a_vote_that_no_reviewer_has_any_more_is_none():
    assert "taken back" in reason(azure.updated("Bob approved pull request 7", reviewers=[azure.BOB | {"vote": 0}]))
    assert "taken back" in reason(azure.updated("Bob rejected pull request 7", reviewers=VOTED))


@pytest.mark.parametrize(("vote", "action"), [(10, "approved"), (5, "approved"), (-5, "rejected"), (-10, "rejected")])
def test_a_vote_that_the_words_do_not_tell_stands_beside_its_reviewer(vote, action):
    other = azure.ADA | {"vote": -vote}
    event = only(azure.updated("Bob voted on pull request 7 (x)", reviewers=[other, azure.BOB | {"vote": vote}]))
    assert (event.action, event.actor) == (action, "bob@acme.example")


def test_a_vote_of_nobody_known_is_an_update_and_one_taken_back_is_none():
    for reviewers in ([*VOTED, azure.BOB | {"uniqueName": "bob2@acme.example", "vote": -5}], [], None):
        assert only(azure.updated("Bob voted on pull request 7", reviewers=reviewers)).action == "updated"
    other = azure.ADA | {"vote": 10}
    text = "Bob voted on pull request 7"
    assert "taken back" in reason(azure.updated(text, reviewers=[other, azure.BOB | {"vote": 0}]))


def test_new_reviewers_are_no_news_for_a_job():
    assert "reviewers" in reason(azure.updated("Ada Byron changed the reviewer list for pull request 7 (x)"))


def test_two_people_of_one_name_are_nobody():
    twin = azure.BOB | {"uniqueName": "bob2@acme.example", "vote": 10}
    event = only(azure.updated("Bob approved pull request 7", reviewers=[*VOTED, twin]))
    assert (event.action, event.actor) == ("approved", None)


def test_a_merge_that_was_only_tried_is_none():
    tried = azure.envelope("git.pullrequest.merged", azure.pull_request(), "Merge attempted for pull request 7")
    assert "tried" in reason(tried)
    done = azure.envelope("git.pullrequest.merged", azure.pull_request(status="completed"))
    assert only(done).action == "merged"


@pytest.mark.parametrize(
    ("event", "status", "action"),
    [
        ("git.pullrequest.merged", "completed", "merged"),
        ("git.pullrequest.updated", "completed", "merged"),
        ("git.pullrequest.updated", "abandoned", "closed"),
    ],
)
def test_who_closed_it_is_told_where_the_words_name_nobody(event, status, action):
    change = azure.pull_request(status=status, closedBy=azure.BOB)
    told = only(azure.envelope(event, change, "Merge attempted for pull request 7 (A faster till)"))
    assert (told.action, told.actor) == (action, "bob@acme.example")


def test_a_pull_request_without_a_head_waits_for_what_follows():
    payload = azure.without(
        azure.envelope("git.pullrequest.created", azure.pull_request()), "resource", "lastMergeSourceCommit"
    )
    assert "head" in reason(payload)


def test_a_comment():
    assert only(azure.comment()) == api.Comment(
        repository=WEB,
        on="change_request",
        action="created",
        body="/retest",
        author="bob@acme.example",
        change=7,
        actor="bob@acme.example",
        url=f"{PAGE}/pullrequest/7",
    )


def test_a_comment_is_edited_when_its_text_changed_later_and_deleted_when_it_says_so():
    assert only(azure.comment(lastContentUpdatedDate="2026-01-05T11:00:09Z")).action == "edited"
    assert only(azure.comment(isDeleted=True, content=None)).action == "deleted"
    liked = azure.comment(lastUpdatedDate="2026-01-05T11:00:09Z")
    assert only(liked).action == "created"


def test_what_azure_devops_itself_writes_below_a_pull_request_is_no_comment():
    assert "wrote" in reason(azure.comment(commentType="system", content="Policy status has been updated"))


@pytest.mark.parametrize(
    ("result", "state"),
    [("succeeded", "success"), ("partiallySucceeded", "success"), ("failed", "failure"), ("canceled", "error")],
)
def test_a_build_that_ended_is_a_status(result, state):
    assert only(azure.build(result=result)) == api.CiStatus(
        repository=WEB,
        sha=NEW,
        context="web-ci",
        state=state,
        branches=("main",),
        actor="ada@acme.example",
        url="https://dev.azure.com/acme/Shop%20Floor/_build/results?buildId=41",
    )


def test_a_build_of_a_pull_request_is_of_no_branch():
    assert only(azure.build(sourceBranch="refs/pull/7/merge")).branches == ()


def test_builds_that_say_too_little_are_ignored_with_the_remedy():
    for name in ({"name": "acme/web"}, {}):
        assert "elsewhere (`GitHub`)" in reason(azure.build(repository={"type": "GitHub", "id": "acme/web"} | name))
    assert "unknown result" in reason(azure.build(result="none"))
    for keys in (("repository",), ("project",), ("repository", "type"), ("repository", "name")):
        assert "names no repository" in reason(azure.without(azure.build(), "resource", *keys))
    assert "names no commit" in reason(azure.without(azure.build(), "resource", "sourceVersion"))


MINIMAL = {"pullRequestId": 7, "repository": {"id": azure.REPOSITORY["id"]}}


@pytest.mark.parametrize("resource", [None, {"id": 7, "url": "https://dev.azure.com/acme/_apis/x"}, MINIMAL])
@pytest.mark.parametrize("event", list(azure_devops.webhooks.EVENTS))
def test_minimal_details_are_ignored_with_the_remedy(event, resource):
    assert "Resource details to send" in reason(azure.envelope(event, resource))


def test_no_details_at_all_may_leave_the_key_out():
    assert "Resource details to send" in reason(azure.without(azure.push(), "resource"))


@pytest.mark.parametrize("event", ["git.repo.created", "git.repo.renamed", "tfvc.checkin", "workitem.updated"])
def test_other_events_are_ignored_by_name(event):
    assert event in reason(azure.envelope(event, {}))


@pytest.mark.parametrize(
    "payload",
    [
        azure.push(azure.moved(before="a1")),
        azure.push(azure.moved(before=ZERO, after=ZERO)),
        azure.push(azure.moved(after="g" * 40)),
        azure.push(azure.moved(7)),
        azure.push(commits=[{"commitId": "short"}]),
        azure.push(repository={"name": "web", "project": {"name": "../etc"}}),
        azure.push(repository={"name": "web"}),
        azure.push(repository=azure.REPOSITORY | {"webUrl": "https://[/"}),
        azure.envelope("git.pullrequest.created", azure.pull_request(pullRequestId="7")),
        azure.envelope("git.pullrequest.created", azure.pull_request(sourceRefName="refs/pull/1/merge")),
        azure.build(sourceVersion="tip"),
        azure.envelope("", {}),
        azure.envelope("git.push\n", {}),
        azure.envelope("git.push", []),
        azure.without(azure.push(), "eventType"),
    ],
)
def test_what_cannot_be_meant_is_unreadable(payload):
    with pytest.raises(api.Unreadable):
        read(payload)


def test_only_a_web_address_is_shown():
    repository = azure.REPOSITORY | {"webUrl": "javascript://dev.azure.com/x"}
    assert only(azure.push(repository=repository)).url is None


def test_what_is_read_survives_json():
    for payload in (azure.push(), azure.comment(), azure.build()):
        event = only(payload)
        assert msgspec.json.decode(msgspec.json.encode(event), type=api.Event) == event
