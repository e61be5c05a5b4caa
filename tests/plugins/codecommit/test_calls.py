"""CodeCommit's API as its documentation has it: what is asked, how it is signed, and what the answers become."""

from __future__ import annotations

import base64
import json
import sys

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from sns_player import TOPIC

from headgate import api
from headgate.api.testing import NOW, ContractHost
from headgate.api.testing.calls import Answer, CallsContract, GitHost, calling
from headgate_plugins import codecommit
from headgate_plugins.codecommit.client import SigV4, load_botocore

KIND = next(iter(codecommit.headgate_providers()))
A, B, C, D = "a1" * 20, "b2" * 20, "c3" * 20, "d4" * 20
ADA = "arn:aws:iam::123456789012:user/ada"
KEY = api.Credential(
    type="aws_key",
    fields={"access_key_id": api.Secret("AKIDEXAMPLE"), "secret_access_key": api.Secret("wJalrXUtnFEMI/K7MDENG")},
    hosts=("127.0.0.1",),
)


def options(url):
    return {"region": "eu-central-1", "topic_arns": [TOPIC], "base_url": url, "credential": "secret://contract/api"}


class TestContract(CallsContract):
    kind = KIND
    credential = KEY

    def options(self, url):
        return options(url)

    async def ask(self, provider):
        return await provider.repository("web")


class Amazon:
    """Answers by operation; each a value, an exception's name, or a function of what is asked."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []
        self.host = GitHost()
        self.host.on("POST", "/", self.answer)

    def answer(self, asked):
        operation = asked.headers["X-Amz-Target"].removeprefix("CodeCommit_20150413.")
        self.asked.append((operation, asked.json()))
        found = self.answers[operation]
        found = found(asked.json()) if callable(found) else found
        if isinstance(found, str):
            return Answer(400, {"__type": found, "message": "because"})
        return found if isinstance(found, Answer) else Answer(body=found)

    def calling(self, **more):
        return calling(KIND, options, credential=KEY, host=self.host, **more)

    def operations(self):
        return [operation for operation, _ in self.asked]


WEB = {
    "repositoryName": "web",
    "repositoryId": "f7579e13",
    "repositoryDescription": "The shop",
    "defaultBranch": "main",
    "accountId": "123456789012",
}


async def test_a_request_is_signed_as_amazon_checks_it():
    amazon = Amazon(GetRepository={"repositoryMetadata": WEB})
    async with amazon.calling() as (provider, host):
        await provider.repository("web")
    (asked,) = host.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/", {})
    assert asked.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert asked.headers["X-Amz-Target"] == "CodeCommit_20150413.GetRepository"
    told = asked.headers["Authorization"]
    assert told.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-central-1/codecommit/aws4_request" in told
    signed = told.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"content-type", "host", "x-amz-date", "x-amz-target"} <= set(signed)
    # What the server does: sign what arrived, as it arrived, and compare.
    again = AWSRequest(
        method="POST",
        url=host.url + "/",
        data=asked.body,
        headers={name: asked.headers[name] for name in asked.headers if name.lower() in signed},
    )
    again.context["timestamp"] = asked.headers["X-Amz-Date"]
    signer = SigV4Auth(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG"), "codecommit", "eu-central-1")
    expected = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    assert told.endswith(f"Signature={expected}")


def test_two_signers_of_one_key_are_equal():
    """Else a refused one would be taken for renewed."""
    one, other = (SigV4("a", api.Secret("s"), "eu-central-1") for _ in range(2))
    assert one == other
    assert one != SigV4("a", api.Secret("t"), "eu-central-1")


def test_without_botocore_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "botocore"]:
        monkeypatch.delitem(sys.modules, name)

    class Nowhere:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "botocore":
                raise ImportError(name)

    monkeypatch.setattr(sys, "meta_path", [Nowhere(), *sys.meta_path])
    with pytest.raises(api.CredentialError, match=r"headgate\[codecommit\]"):
        load_botocore()


async def test_no_key_and_a_key_of_another_type_ask_nothing():
    amazon = Amazon()
    bare = {name: value for name, value in options("https://x.example.org").items() if name != "credential"}
    for given, credential in ((lambda url: {**bare, "base_url": url}, KEY), (options, None)):
        token = api.Credential(type="token", fields={"token": api.Secret("t")}, hosts=("127.0.0.1",))
        async with calling(KIND, given, credential=credential or token, host=amazon.host) as (provider, host):
            with pytest.raises(api.CredentialError):
                await provider.repository("web")
            assert not host.asked


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("RepositoryDoesNotExistException", api.NotFound),
        ("com.amazonaws.codecommit#BranchDoesNotExistException", api.NotFound),
        ("ParentCommitIdOutdatedException", api.Conflict),
        ("AccessDeniedException", api.Refused),
        ("InvalidSignatureException:http://internal.amazon.com/coral/", api.Refused),
        ("ServiceUnavailable", api.Unavailable),
        ("InvalidRepositoryNameException", api.ProviderError),
    ],
)
async def test_errors_are_named_in_the_body_of_a_400(name, error):
    async with Amazon(GetRepository=name).calling() as (provider, _):
        with pytest.raises(api.ProviderError, match="400 to GetRepository: because") as caught:
            await provider.repository("web")
    assert type(caught.value) is error


async def test_a_refusal_names_the_permission_and_a_throttled_call_is_limited():
    words = f"User: {ADA} is not authorized to perform: codecommit:GetRepository on resource: web"
    denied = Answer(400, {"__type": "AccessDeniedException", "Message": words, "message": words})
    async with Amazon(GetRepository=denied).calling() as (provider, _):
        with pytest.raises(api.Refused) as caught:
            await provider.repository("web")
    assert caught.value.missing == ("codecommit:GetRepository",)
    limited = Answer(400, {"__type": "ThrottlingException", "message": "Rate exceeded"}, {"Retry-After": "3600"})
    async with Amazon(GetRepository=limited).calling() as (provider, _):
        with pytest.raises(api.RateLimited):
            await provider.repository("web")


async def test_a_repository_and_its_branches_over_two_pages():
    def branches(asked):
        return {"branches": ["dev"]} if asked.get("nextToken") else {"branches": ["main"], "nextToken": "n1"}

    amazon = Amazon(
        GetRepository={"repositoryMetadata": WEB},
        ListBranches=branches,
        GetBranch=lambda asked: {"branch": {"branchName": "x", "commitId": {"main": A, "dev": B}[asked["branchName"]]}},
    )
    async with amazon.calling() as (provider, _):
        found = await provider.repository("arn:aws:codecommit:eu-central-1:123456789012:web")
        heads = [one async for one in provider.branches("web")]
    assert found == api.HostedRepository(
        repository=api.Repository(host="git-codecommit.eu-central-1.amazonaws.com", path="web"),
        id="f7579e13",
        default_branch="main",
        description="The shop",
        visibility="private",
        fork=False,
        url="https://eu-central-1.console.aws.amazon.com/codesuite/codecommit/repositories/web?region=eu-central-1",
    )
    assert heads == [api.Branch(name="main", sha=A), api.Branch(name="dev", sha=B)]
    assert amazon.asked[1:] == [
        ("ListBranches", {"repositoryName": "web"}),
        ("GetBranch", {"repositoryName": "web", "branchName": "main"}),
        ("ListBranches", {"repositoryName": "web", "nextToken": "n1"}),
        ("GetBranch", {"repositoryName": "web", "branchName": "dev"}),
    ]


async def test_a_listing_in_a_circle_ends_with_an_error():
    amazon = Amazon(ListBranches={"branches": [], "nextToken": "again"})
    async with amazon.calling() as (provider, _):
        with pytest.raises(api.ProviderError, match="circle"):
            _ = [one async for one in provider.branches("web")]


async def test_tags_cannot_be_listed_and_a_ref_is_found_through_the_root_folder():
    amazon = Amazon(GetFolder={"commitId": B, "folderPath": "", "files": []})
    async with amazon.calling() as (provider, _):
        assert await provider.ref("web", "refs/tags/v1") == B
        with pytest.raises(api.ProviderError, match="does not list tags"):
            _ = [one async for one in provider.tags("web")]
    assert amazon.asked == [
        ("GetFolder", {"repositoryName": "web", "commitSpecifier": "refs/tags/v1", "folderPath": "/"})
    ]


def history(*commits):
    """BatchGetCommits of a history: (id, parents, seconds)."""
    known = {
        sha: {
            "commitId": sha,
            "parents": list(parents),
            "message": f"commit {sha[:2]}\n",
            "author": {"name": "Ada", "email": "ada@example.org", "date": f"{at} +0100"},
            "committer": {"name": "Ada", "email": "ada@example.org", "date": f"{at} +0100"},
        }
        for sha, parents, at in commits
    }
    return lambda asked: {"commits": [known[one] for one in asked["commitIds"] if one in known]}


async def test_commits_are_walked_from_parent_to_parent():
    amazon = Amazon(BatchGetCommits=history((D, [B, C], 40), (C, [A], 30), (B, [A], 20), (A, [], 10)))
    async with amazon.calling() as (provider, _):
        found = [one async for one in provider.commits("web", D)]
        with pytest.raises(api.NotFound):
            _ = [one async for one in provider.commits("web", "e5" * 20)]
    assert [one.id for one in found] == [D, C, B, A]
    assert found[0] == api.Commit(
        id=D, message="commit d4", author=api.Person(name="Ada", email="ada@example.org"), paths=None
    )


async def test_a_comparison_is_since_what_both_have():
    """`main` went on (C) after `thing` (B, D) left it at A."""

    def differences(asked):
        if asked.get("NextToken"):
            return {"differences": [{"changeType": "D", "beforeBlob": {"path": "old.txt"}}]}
        blob = {"path": "src/new.py"}
        return {"differences": [{"changeType": "A", "afterBlob": blob}], "NextToken": "n1"}

    amazon = Amazon(
        GetFolder=lambda asked: {"commitId": {"thing": D, "main": C}[asked["commitSpecifier"]]},
        BatchGetCommits=history((D, [B], 40), (C, [A], 30), (B, [A], 20), (A, [], 10)),
        GetDifferences=differences,
    )
    async with amazon.calling() as (provider, _):
        found = await provider.compare("web", "main", "thing")
    assert [one.id for one in found.commits] == [B, D]
    assert found.complete
    assert found.files == (
        api.ChangedFile(path="src/new.py", status="added"),
        api.ChangedFile(path="old.txt", status="removed"),
    )
    compared = [asked for operation, asked in amazon.asked if operation == "GetDifferences"]
    assert [(one["beforeCommitSpecifier"], one["afterCommitSpecifier"]) for one in compared] == [(A, D), (A, D)]


async def test_a_long_comparison_is_not_complete():
    shas = [f"{number:040x}" for number in range(1, 400)]
    commits = [(sha, [shas[at - 1]] if at else [], at) for at, sha in enumerate(shas)]
    amazon = Amazon(BatchGetCommits=history(*commits), GetDifferences={"differences": []})
    async with amazon.calling() as (provider, _):
        found = await provider.compare("web", shas[0], shas[-1])
        short = await provider.compare("web", shas[-3], shas[-1])
    assert not found.complete
    assert short.complete
    assert [one.id for one in short.commits] == shas[-2:]


def pull_request(number="7", *, status="OPEN", repository="web", source="thing", merged=None):
    return {
        "pullRequest": {
            "pullRequestId": number,
            "title": "Add a thing",
            "description": "Because",
            "lastActivityDate": 1508442444.0,
            "creationDate": 1508442444.0,
            "pullRequestStatus": status,
            "authorArn": ADA,
            "revisionId": "r1",
            "pullRequestTargets": [
                {
                    "repositoryName": repository,
                    "sourceReference": f"refs/heads/{source}",
                    "destinationReference": "refs/heads/main",
                    "sourceCommit": B,
                    "destinationCommit": A,
                    "mergeBase": C,
                    "mergeMetadata": {"isMerged": merged is not None, **({"mergeCommitId": merged} if merged else {})},
                }
            ],
        }
    }


async def test_pull_requests_by_state_over_two_pages():
    all_of_them = {
        "1": pull_request("1", status="CLOSED"),
        "2": pull_request("2", status="CLOSED", merged=D),
        "7": pull_request(),
    }

    def listed(asked):
        if asked.get("pullRequestStatus") == "OPEN":
            return {"pullRequestIds": ["7"]}
        return {"pullRequestIds": ["2"]} if asked.get("nextToken") else {"pullRequestIds": ["1"], "nextToken": "n1"}

    amazon = Amazon(ListPullRequests=listed, GetPullRequest=lambda asked: all_of_them[asked["pullRequestId"]])
    async with amazon.calling() as (provider, _):
        for state, numbers in (("open", [7]), ("merged", [2]), ("closed", [1]), (None, [1, 2])):
            assert [one.number async for one in provider.changes("web", state)] == numbers


async def test_one_pull_request_with_who_approved_it_and_its_files():
    amazon = Amazon(
        GetPullRequest=pull_request(),
        GetPullRequestApprovalStates={"approvals": [{"userArn": ADA, "approvalState": "APPROVE"}]},
        GetDifferences={"differences": [{"changeType": "M", "beforeBlob": {"path": "a"}, "afterBlob": {"path": "a"}}]},
    )
    async with amazon.calling() as (provider, _):
        found = await provider.change("web", 7)
        files = [one async for one in provider.changed_files("web", 7)]
        with pytest.raises(api.NotFound):
            await provider.change("other", 7)
    assert (found.state, found.author, found.body, found.revision) == ("open", ADA, "Because", "r1")
    assert (found.source.branch, found.source.sha, found.target.branch, found.target.sha) == ("thing", B, "main", A)
    assert found.reviews == (api.Review(author=ADA, state="approved", sha=B),)
    assert files == [api.ChangedFile(path="a", status="modified")]
    assert amazon.asked[1] == ("GetPullRequestApprovalStates", {"pullRequestId": "7", "revisionId": "r1"})
    assert amazon.asked[3][1] == {"repositoryName": "web", "beforeCommitSpecifier": C, "afterCommitSpecifier": B}


async def test_repositories_are_found_by_name_and_account():
    def listed(asked):
        if asked.get("nextToken"):
            return {"repositories": [{"repositoryName": "Webshop"}]}
        return {"repositories": [{"repositoryName": "web"}, {"repositoryName": "lib"}], "nextToken": "n1"}

    amazon = Amazon(
        ListRepositories=listed,
        BatchGetRepositories=lambda asked: {
            "repositories": [{**WEB, "repositoryName": name} for name in asked["repositoryNames"]]
        },
    )
    async with amazon.calling() as (provider, _):

        async def names(**query):
            return [one.repository.path async for one in provider.discover(api.RepositoryQuery(**query))]

        assert await names(search="WEB") == ["web", "Webshop"]
        assert await names(owner="123456789012") == ["web", "lib", "Webshop"]
        for none in ({"owner": "1"}, {"visibility": "public"}, {"archived": True}, {"project": "x"}):
            assert await names(**none) == []


async def test_a_file_is_read_and_a_folder_is_none():
    def folder(asked):
        return {"commitId": A, "folderPath": "src"} if asked["folderPath"] == "src" else "FolderDoesNotExistException"

    def file(asked):
        if asked["filePath"] != "README":
            return "FileDoesNotExistException"
        content = base64.b64encode(b"hello\n").decode()
        return {
            "commitId": A,
            "blobId": D,
            "filePath": "README",
            "fileMode": "NORMAL",
            "fileSize": 6,
            "fileContent": content,
        }

    amazon = Amazon(GetFile=file, GetFolder=folder)
    async with amazon.calling() as (provider, _):
        assert await provider.read_file("web", "README", "main") == api.FileContent(
            path="README", content=b"hello\n", revision=D
        )
        with pytest.raises(api.Conflict):
            await provider.read_file("web", "src", "main")
        with pytest.raises(api.NotFound):
            await provider.read_file("web", "nothing", "main")
    assert amazon.asked[0][1] == {"repositoryName": "web", "filePath": "README", "commitSpecifier": "main"}


FILES = {
    "/": [{"absolutePath": "run", "blobId": B, "fileMode": "EXECUTABLE"}],
    "src": [{"absolutePath": "src/a.py", "blobId": C, "fileMode": "NORMAL"}],
}


def with_files(**more):
    def folder(asked):
        assert asked["commitSpecifier"] == A
        if asked["folderPath"] not in FILES:
            return "FolderDoesNotExistException"
        return {"commitId": A, "files": FILES[asked["folderPath"]]}

    return Amazon(
        GetBranch={"branch": {"branchName": "main", "commitId": A}},
        GetFolder=folder,
        **({"CreateCommit": {"commitId": D}} | more),
    )


CHANGES = (
    api.FileChange(path="run", content=b"#!/bin/sh\n", revision=B),
    api.FileChange(path="src/a.py", content=None, revision=C),
    api.FileChange(path="new/b.py", content=b"b"),
)


async def test_several_files_are_one_commit_on_the_head_they_were_compared_at():
    amazon = with_files()
    async with amazon.calling() as (provider, _):
        made = await provider.commit_files("web", api.FileCommit(branch="main", message="m", changes=CHANGES, head=A))
    assert made == D
    assert amazon.asked[-1] == (
        "CreateCommit",
        {
            "repositoryName": "web",
            "branchName": "main",
            "parentCommitId": A,
            "commitMessage": "m",
            "putFiles": [
                {"filePath": "run", "fileContent": base64.b64encode(b"#!/bin/sh\n").decode(), "fileMode": "EXECUTABLE"},
                {"filePath": "new/b.py", "fileContent": base64.b64encode(b"b").decode()},
            ],
            "deleteFiles": [{"filePath": "src/a.py"}],
        },
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (api.FileChange(path="run", content=b"x", revision=D), "changed meanwhile"),
        (api.FileChange(path="run", content=b"x"), "is there already"),
        (api.FileChange(path="gone", content=b"x", revision=B), "no longer there"),
        (api.FileChange(path="gone", content=None), "no longer there"),
    ],
)
async def test_a_file_that_is_not_as_it_was_is_a_conflict_and_nothing_is_written(change, words):
    amazon = with_files()
    async with amazon.calling() as (provider, _):
        with pytest.raises(api.Conflict, match=words):
            await provider.commit_files("web", api.FileCommit(branch="main", message="m", changes=(*CHANGES, change)))
    assert "CreateCommit" not in amazon.operations()


async def test_a_branch_that_moved_is_a_conflict_before_and_while_we_write():
    commit = api.FileCommit(branch="main", message="m", changes=CHANGES, head=B)
    amazon = with_files()
    async with amazon.calling() as (provider, _):
        with pytest.raises(api.Conflict, match="no longer at"):
            await provider.commit_files("web", commit)
    amazon = with_files(CreateCommit="ParentCommitIdOutdatedException")
    async with amazon.calling() as (provider, _):
        with pytest.raises(api.Conflict):
            await provider.commit_files("web", api.FileCommit(branch="main", message="m", changes=CHANGES))


async def test_a_commit_is_not_made_twice_when_its_answer_is_lost():
    amazon = with_files(CreateCommit=Answer(503, {}))
    async with amazon.calling() as (provider, _):
        with pytest.raises(api.Unavailable):
            await provider.commit_files("web", api.FileCommit(branch="main", message="m", changes=CHANGES))
    assert amazon.operations().count("CreateCommit") == 1


async def test_a_branch_is_made_once():
    amazon = Amazon(CreateBranch=Answer(200, b""))
    async with amazon.calling() as (provider, _):
        await provider.create_branch("web", "new", B)
    assert amazon.asked == [("CreateBranch", {"repositoryName": "web", "branchName": "new", "commitId": B})]
    async with Amazon(CreateBranch="BranchNameExistsException").calling() as (provider, _):
        with pytest.raises(api.Conflict):
            await provider.create_branch("web", "new", B)


def opening(*, tips=None, others=()):
    tips = tips or {"thing": B, "main": A}
    return Amazon(
        GetBranch=lambda asked: {"branch": {"branchName": "x", "commitId": tips[asked["branchName"]]}},
        ListPullRequests={"pullRequestIds": list(others)},
        GetPullRequest=pull_request("3"),
        CreatePullRequest=pull_request("8"),
    )


async def test_a_pull_request_is_opened_with_a_token_against_doubles():
    amazon = opening()
    async with amazon.calling() as (provider, _):
        made = await provider.open_change("web", api.NewChange(title="T", source="thing", target="main", body="b"))
    assert (made.number, made.state, made.reviews) == (8, "open", ())
    operation, asked = amazon.asked[-1]
    assert operation == "CreatePullRequest"
    assert len(asked.pop("clientRequestToken")) == 36
    target = {"repositoryName": "web", "sourceReference": "refs/heads/thing", "destinationReference": "refs/heads/main"}
    assert asked == {"title": "T", "description": "b", "targets": [target]}


@pytest.mark.parametrize(
    ("amazon", "new", "words"),
    [
        (opening(others=["3"]), {}, "pull request 3 is open"),
        (opening(tips={"thing": A, "main": A}), {}, "nothing between"),
        (opening(), {"draft": True}, "no drafts"),
    ],
)
async def test_a_pull_request_that_makes_no_sense_is_a_conflict(amazon, new, words):
    async with amazon.calling() as (provider, _):
        with pytest.raises(api.Conflict, match=words):
            await provider.open_change("web", api.NewChange(title="T", source="thing", target="main", **new))
    assert "CreatePullRequest" not in amazon.operations()


@pytest.mark.parametrize(
    ("method", "operation"),
    [
        ("merge", "MergePullRequestByThreeWay"),
        ("squash", "MergePullRequestBySquash"),
        ("rebase", "MergePullRequestByFastForward"),
    ],
)
async def test_a_pull_request_is_merged_only_at_the_head_that_was_seen(method, operation):
    amazon = Amazon(**{operation: pull_request(status="CLOSED", merged=D)})
    async with amazon.calling() as (provider, _):
        assert await provider.merge_change("web", 7, sha=B, method=method) == D
    assert amazon.asked == [(operation, {"pullRequestId": "7", "repositoryName": "web", "sourceCommitId": B})]
    for name in ("TipOfSourceReferenceIsDifferentException", "ManualMergeRequiredException"):
        async with Amazon(**{operation: name}).calling() as (provider, _):
            with pytest.raises(api.Conflict):
                await provider.merge_change("web", 7, sha=B, method=method)


async def test_the_connection_is_tested_and_says_what_is_missing():
    async with Amazon(ListRepositories={"repositories": [{"repositoryName": "web"}]}).calling() as (provider, _):
        report = await provider.test_connection()
    assert report == api.ConnectionReport(missing=("git_credential",), message="1 repositories on the first page")
    words = "User: x is not authorized to perform: codecommit:ListRepositories on resource: *"
    denied = Answer(400, {"__type": "AccessDeniedException", "message": words})
    async with Amazon(ListRepositories=denied).calling() as (provider, _):
        assert (await provider.test_connection()).missing == ("codecommit:ListRepositories",)
    async with Amazon(ListRepositories="UnrecognizedClientException").calling() as (provider, _):
        with pytest.raises(api.Refused):
            await provider.test_connection()


async def test_clones_are_made_with_git_credentials_of_the_right_host():
    host = "git-codecommit.eu-central-1.amazonaws.com"
    login = {"username": api.Secret("ada-at-123456789012"), "password": api.Secret("p")}
    good = api.Credential(type="user_password", fields=login, hosts=(host,))
    given = {"region": "eu-central-1", "topic_arns": [TOPIC], "git_credential": "secret://s/git"}
    for credential, error in ((good, None), (KEY, "user_password"), (None, "git_credential")):
        ours = ContractHost({"secret://s/git": credential} if credential else {})
        if credential is KEY:
            ours = ContractHost({"secret://s/git": api.Credential(type="aws_key", fields=KEY.fields, hosts=(host,))})
        block = given if credential else {name: value for name, value in given.items() if name != "git_credential"}
        async with KIND.open(block, ours) as provider:
            if error is None:
                source = await provider.clone_source("web")
                assert source == api.CloneSource(url=f"https://{host}/v1/repos/web", credential=good)
                with pytest.raises(api.NotFound):
                    await provider.clone_source("../web")
            else:
                with pytest.raises(api.CredentialError, match=error):
                    await provider.clone_source("web")


async def test_what_is_of_another_region_is_ignored():
    body = {
        "detail-type": "CodeCommit Repository State Change",
        "source": "aws.codecommit",
        "region": "us-east-1",
        "detail": {
            "event": "referenceCreated",
            "repositoryName": "web",
            "referenceFullName": "refs/heads/x",
            "commitId": B,
        },
    }
    async with KIND.open({"region": "eu-central-1", "topic_arns": [TOPIC]}, ContractHost({})) as provider:
        for region, kind in (("us-east-1", api.Ignored), ("eu-central-1", api.Parsed)):
            text = json.dumps({**body, "region": region}).encode()
            told = api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=text)
            assert isinstance(provider.parse(told), kind)


def test_it_reports_no_statuses_because_the_host_has_none():
    names = {name for name, capability in api.CAPABILITIES.items() if issubclass(KIND.provides, capability)}
    assert names == {"changes", "clone", "discover", "files", "repository", "test", "write_changes", "write_files"}
