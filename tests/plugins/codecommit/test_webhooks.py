"""What AWS's messages about CodeCommit mean, in each of their wrappings; payloads written after the documentation."""

from __future__ import annotations

import json

import msgspec
import pytest

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate_plugins import codecommit

KIND = next(iter(codecommit.headgate_providers()))
A, B = "a1" * 20, "b2" * 20
ADA = "arn:aws:iam::123456789012:user/ada"
WEB = api.Repository(host="git-codecommit.eu-central-1.amazonaws.com", path="web")
CONSOLE = "https://eu-central-1.console.aws.amazon.com/codesuite/codecommit/repositories/web"


def read(value):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    reading = KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=body))
    for event in getattr(reading, "events", ()):
        check_event(event, KIND)
    return reading


def only(value):
    (event,) = read(value).events
    return event


def bridged(kind, **detail):
    return {
        "version": "0",
        "id": "01234567-0123-0123-0123-012345678901",
        "detail-type": f"CodeCommit {kind}",
        "source": "aws.codecommit",
        "account": "123456789012",
        "time": "2026-01-05T11:59:43Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:codecommit:eu-central-1:123456789012:web"],
        "detail": {"callerUserArn": ADA, **detail},
    }


def moved(event, **detail):
    told = {"repositoryName": "web", "referenceType": "branch", "referenceName": "main"}
    return bridged("Repository State Change", event=event, **{"referenceFullName": "refs/heads/main"} | told | detail)


def triggered(*references, name="ReferenceChanges", **more):
    return {
        "eventId": "5a824061-17ca-46a9-bbf9-114edeadbeef",
        "eventVersion": "1.0",
        "eventTriggerName": "headgate",
        "codecommit": {"references": list(references)},
        "eventName": name,
        "eventSourceARN": "arn:aws:codecommit:eu-central-1:123456789012:web",
        "userIdentityARN": ADA,
        "eventSource": "aws:codecommit",
        "awsRegion": "eu-central-1",
        **more,
    }


def test_a_branch_that_moved():
    push = only(moved("referenceUpdated", commitId=B, oldCommitId=A, mergeOption="THREE_WAY_MERGE"))
    assert push == api.Push(
        repository=WEB,
        ref="refs/heads/main",
        before=A,
        after=B,
        actor=ADA,
        url=f"{CONSOLE}/commit/{B}?region=eu-central-1",
    )
    assert "before_known" not in json.loads(msgspec.json.encode(push))


def test_created_and_deleted_refs():
    created = only(moved("referenceCreated", commitId=B))
    assert (created.before, created.after, created.before_known is False) == (None, B, False)
    for old in ({"oldCommitId": A}, {"commitId": A}, {"oldCommitId": A, "commitId": "0" * 40}):
        deleted = only(moved("referenceDeleted", **old))
        assert (deleted.before, deleted.after) == (A, None)


def test_an_update_that_does_not_say_from_where():
    push = only(moved("referenceUpdated", commitId=B))
    assert (push.before, push.after, push.before_known) == (None, B, False)


@pytest.mark.parametrize(
    "names",
    [
        {"referenceFullName": "refs/tags/v1", "referenceType": "tag"},
        {"referenceFullName": None, "referenceType": "tag", "referenceName": "v1"},
        {"referenceFullName": None, "referenceType": None, "referenceName": "refs/tags/v1"},
    ],
)
def test_a_tag_however_it_is_named(names):
    tag = only(moved("referenceCreated", commitId=B, **names))
    assert isinstance(tag, api.Tag)
    assert (tag.ref, tag.tag, tag.after) == ("refs/tags/v1", "v1", B)


def test_a_tag_that_moved_was_forced():
    name = {"referenceFullName": "refs/tags/v1", "referenceType": "tag"}
    assert only(moved("referenceUpdated", commitId=B, oldCommitId=A, **name)).forced
    # From where is not said, and a trigger tells a new tag alike.
    assert not only(moved("referenceUpdated", commitId=B, **name)).forced
    assert not only(moved("referenceDeleted", oldCommitId=A, **name)).forced


def test_a_region_of_china_has_other_names():
    event = moved("referenceCreated", commitId=B) | {"region": "cn-north-1"}
    push = only(event)
    assert push.repository.host == "git-codecommit.cn-north-1.amazonaws.com.cn"
    assert push.url.startswith("https://cn-north-1.console.amazonaws.cn/")


def change(event, **detail):
    return bridged(
        "Pull Request State Change",
        event=event,
        **{
            "pullRequestId": "7",
            "pullRequestStatus": "Open",
            "isMerged": "False",
            "title": "Add a thing",
            "author": "arn:aws:iam::123456789012:user/bob",
            "sourceReference": "refs/heads/thing/one",
            "sourceCommit": B,
            "destinationReference": "refs/heads/main",
            "destinationCommit": A,
            "repositoryNames": ["web"],
            "revisionId": "r1",
        }
        | detail,
    )


def test_a_pull_request_that_was_opened():
    assert only(change("pullRequestCreated")) == api.ChangeRequest(
        repository=WEB,
        number=7,
        action="opened",
        title="Add a thing",
        source=api.ChangeSource(repository=WEB, branch="thing/one", sha=B),
        target=api.ChangeTarget(branch="main", sha=A),
        author="arn:aws:iam::123456789012:user/bob",
        actor=ADA,
        url=f"{CONSOLE}/pull-requests/7?region=eu-central-1",
    )


@pytest.mark.parametrize(
    ("event", "detail", "action"),
    [
        ("pullRequestSourceBranchUpdated", {}, "updated"),
        ("pullRequestStatusChanged", {"pullRequestStatus": "Closed"}, "closed"),
        ("pullRequestStatusChanged", {"pullRequestStatus": "Closed", "isMerged": "True"}, "merged"),
        ("pullRequestStatusChanged", {}, "reopened"),
        ("pullRequestMergeStatusUpdated", {"pullRequestStatus": "Closed", "isMerged": "True"}, "merged"),
        ("pullRequestMergeStatusUpdated", {"pullRequestStatus": "Closed", "isMerged": True}, "merged"),
        ("pullRequestMergeStatusUpdated", {}, None),
        ("pullRequestApprovalStateChanged", {"approvalStatus": "APPROVE"}, "approved"),
        ("pullRequestApprovalStateChanged", {"approvalStatus": "REVOKE"}, None),
        ("pullRequestApprovalRuleCreated", {}, None),
        ("pullRequestApprovalRuleUpdated", {}, None),
        ("pullRequestApprovalRuleDeleted", {}, None),
        ("pullRequestApprovalRuleOverridden", {"overrideStatus": "OVERRIDE"}, None),
    ],
)
def test_what_happens_to_a_pull_request(event, detail, action):
    reading = read(change(event, **detail))
    if action is None:
        assert event in reading.reason
    else:
        assert reading.events[0].action == action


def test_comments_come_without_their_text():
    told = {"repositoryName": "web", "afterCommitId": B, "beforeCommitId": A, "commentId": "c1"}
    made = only(bridged("Comment on Pull Request", event="commentOnPullRequestCreated", pullRequestId="7", **told))
    assert (made.on, made.change, made.action, made.body, made.sha) == ("change_request", 7, "created", "", B)
    assert made.url == f"{CONSOLE}/pull-requests/7/activity?region=eu-central-1"
    edited = only(bridged("Comment on Commit", event="commentOnCommitUpdated", **told))
    assert (edited.on, edited.change, edited.action, edited.author) == ("commit", None, "edited", ADA)
    assert edited.url == f"{CONSOLE}/commit/{B}?region=eu-central-1"


BOB = "arn:aws:iam::123456789012:user/bob"


def noted(thread, **added):
    """As a notification rule with full details sends it."""
    told = {"repositoryName": "web", "afterCommitId": B, "beforeCommitId": A, "commentId": "c1", "pullRequestId": "7"}
    event = bridged("Comment on Pull Request", event="commentOnPullRequestCreated", **told)
    event["detailType"] = event.pop("detail-type")
    comments = thread and [{"authorArn": author, "commentText": text} for author, text in thread]
    return event | {"additionalAttributes": {"comments": comments, "filePath": None, "commentedLine": None} | added}


@pytest.mark.parametrize(
    ("thread", "body"),
    [
        ([(ADA, "Please build")], "Please build"),
        # An assumed role is written in several ways.
        ([("AROAEXAMPLE:ada", "Please build")], "Please build"),
        ([(BOB, "Please build")], ""),
        ([(BOB, "Why?"), (ADA, "Please build")], "Please build"),
        ([(ADA, "Please build"), (BOB, "No"), (ADA, "Why not?")], ""),
        ([(BOB, "Why?"), (BOB, "Well?")], ""),
        ([(ADA, None)], ""),
        ([], ""),
        (None, ""),
    ],
)
def test_a_notification_rule_tells_the_text_where_it_is_certain_which_one_is_new(thread, body):
    comment = only(noted(thread))
    assert (comment.on, comment.change, comment.body, comment.author) == ("change_request", 7, body, ADA)


def test_a_comment_beside_a_line_is_part_of_a_review():
    line = noted([(ADA, "Typo")], filePath="till.py", commentedLine="pritn(1)", commentedLineNumber="5")
    assert only(line).on == "review"
    nothing = noted([])
    for event in (nothing | {"additionalAttributes": None}, nothing | {"additionalAttributes": {}}):
        assert only(event).on == "change_request"


@pytest.mark.parametrize("kind", ["Approval Rule Template Change", "Comment Reaction Change", "Teleport"])
def test_what_says_nothing_to_a_job_is_ignored_with_a_reason(kind):
    assert read(bridged(kind, event="x")).reason


def test_a_merge_commit_without_a_ref_moves_nothing():
    event = bridged("Repository State Change", event="unreferencedMergeCommitCreated", repositoryName="web", commitId=B)
    assert "unreferencedMergeCommitCreated" in read(event).reason


def test_notification_rules_name_the_type_in_another_way():
    event = moved("referenceCreated", commitId=B)
    event["detailType"] = event.pop("detail-type")
    assert only(event).after == B


def test_a_trigger_says_where_refs_are_and_never_where_they_were():
    references = [
        {"commit": B, "ref": "refs/heads/main"},
        {"commit": B, "ref": "refs/heads/new", "created": True},
        {"commit": A, "ref": "refs/heads/old", "deleted": True},
        {"commit": B, "ref": "refs/tags/v1"},
        {"commit": B, "ref": "refs/notes/commits"},
    ]
    reading = read({"Records": [triggered(*references)]})
    assert [(one.ref, one.before, one.after, one.before_known is not False) for one in reading.events] == [
        ("refs/heads/main", None, B, False),
        ("refs/heads/new", None, B, True),
        ("refs/heads/old", A, None, True),
        ("refs/tags/v1", None, B, False),
    ]
    assert {(one.repository, one.actor) for one in reading.events} == {(WEB, ADA)}
    assert read({"Records": [triggered(references[-1])]}).reason


def test_several_records_are_all_read():
    one = triggered({"commit": A, "ref": "refs/heads/main"})
    other = triggered({"commit": B, "ref": "refs/heads/more"})
    assert [event.after for event in read({"Records": [one, other]}).events] == [A, B]


def test_the_test_button_of_an_empty_repository_is_a_ping():
    test = triggered({"commit": "0" * 40, "ref": "refs/heads/main"}, name="TriggerEventTest")
    assert only({"Records": [test]}) == api.Ping(repository=WEB, actor=ADA)


def in_sns(text, **more):
    return {"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": text, **more}


@pytest.mark.parametrize(
    "news", [moved("referenceCreated", commitId=B), {"Records": [triggered({"commit": B, "ref": "refs/heads/main"})]}]
)
def test_the_wrapping_changes_nothing(news):
    plain = read(news)
    text = json.dumps(news)
    assert read(in_sns(text)) == plain
    assert read({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text}}]}) == plain


@pytest.mark.parametrize(
    "value",
    [
        in_sns("Hello from SNS!"),
        in_sns('{"AlarmName": "x"}'),
        in_sns(json.dumps(in_sns("{}"))),
        in_sns(json.dumps({"Records": [{"eventSource": "aws:s3", "s3": {}}]})),
        in_sns(json.dumps(moved("referenceCreated", commitId=B) | {"source": "aws.codebuild"})),
        {**in_sns("You have chosen …"), "Type": "SubscriptionConfirmation"},
        {**in_sns("You have chosen …"), "Type": "UnsubscribeConfirmation"},
        {**in_sns("{}"), "Type": "Other"},
        {"Records": []},
        {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
    ],
)
def test_what_is_of_another_service_is_ignored_with_a_reason(value):
    assert read(value).reason


@pytest.mark.parametrize(
    "value",
    [
        b"\xff",
        [],
        {},
        {"Type": "Notification"},
        in_sns('{"a": 1, "a": 2}'),
        moved("referenceUpdated", commitId="b2"),
        moved("referenceUpdated", oldCommitId=A),
        moved("referenceCreated", commitId=7),
        moved("referenceCreated", commitId=B) | {"detail": 7},
        noted([(7, "Please build")]),
        moved("referenceCreated", commitId=B) | {"region": "evil.org/x"},
        moved("referenceCreated", commitId=B) | {"region": None, "resources": []},
        moved("referenceCreated", commitId=B, repositoryName="../etc"),
        change("pullRequestCreated", pullRequestId="x"),
        change("pullRequestCreated", pullRequestId="9" * 30),
        change("pullRequestCreated", sourceCommit="short"),
        {"Records": [triggered({"commit": "0" * 40, "ref": "refs/heads/main"})]},
        {"Records": [triggered({"commit": B, "ref": "refs/heads/main"}, eventSourceARN="arn:aws:s3:::x")]},
    ],
)
def test_what_cannot_be_meant_is_unreadable(value):
    with pytest.raises(api.Unreadable):
        read(value)
