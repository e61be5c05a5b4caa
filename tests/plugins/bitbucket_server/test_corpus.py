"""Bitbucket Data Center's deliveries and API answers as others recorded them, and what go-scm made of them.

The answers are served by a host on loopback and read through the calls. Where we differ on purpose, `DIFFERENCES`
says why; a row that no longer differs fails.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pytest
from corpus import corpus_path
from goldens import Differences, body_of, golden_of, rows

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate.api.testing.calls import Answer, GitHost, calling
from headgate_plugins import bitbucket_server
from headgate_plugins.bitbucket_server.connection import BitbucketServer

pytestmark = pytest.mark.corpus
KIND = next(iter(bitbucket_server.headgate_providers()))
IGNORED = "an event"

# (golden's file or its hook type, field) -> why ours is another
DIFFERENCES = {
    ("jenkins-x-go-scm/bitbucket_server/webhooks/pr_unapproved.json", IGNORED): "a vote taken back says nothing",
    ("PushHook", "commits"): "go-scm makes a commit without a message of the new head; the sample lists none",
    ("drone-go-scm/bitbucket_server/fnb_push_update.json", "commits"): "go-scm tells of the head only",
    ("drone-go-scm/bitbucket_server/fnb_push_update.json", "commits.0"): "ours begin with the oldest",
    ("jenkins-x-go-scm/bitbucket_server/webhooks/pr_deleted.json", "action"): "it is closed for good either way",
    ("drone-go-scm/bitbucket_server/webhooks/pr_modified_meta.json", "action"): "`edited` changed words, no code",
    ("jenkins-x-go-scm/bitbucket_server/webhooks/pr_modified.json", "action"): "`edited` changed words, no code",
    ("jenkins-x-go-scm/bitbucket_server/webhooks/pr_approved.json", "action"): "a vote is something that happens",
    ("jenkins-x-go-scm/bitbucket_server/webhooks/pr_needs_work.json", "action"): "a vote is something that happens",
}

ACTIONS = {"synchronized": "updated", "declined": "closed"}


def read(row):
    headers = (("x-event-key", row["event"]),) if row["event"] else ()
    return KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=headers, body=body_of(row)))


def deliveries():
    """Two pushes of a newer version are filed under answers."""
    pushes = [row for row in rows(provider="bitbucket_server", kind="api") if "/fnb_push_" in row["file"]]
    assert len(pushes) == 2
    return rows(provider="bitbucket_server", kind="webhook") + pushes


def test_every_recorded_delivery_gives_events_or_a_reason():
    count = 0
    for row in deliveries():
        reading = read(row)
        if isinstance(reading, api.Ignored):
            assert reading.reason
            assert row["event"] in {"mirror:repo_synchronized", "pr:reviewer:unapproved"}
            continue
        count += 1
        for event in reading.events:
            check_event(event, KIND)
    assert count > 35


def test_every_recorded_delivery_is_read_without_its_header():
    """For `headgate parse`: all but the old test button's name their event."""
    for row in deliveries():
        assert read({**row, "event": None}) == read(row)


def repository_fields(event, golden):
    repo = golden["repo"]
    pairs = {"repository": (event.repository.path, f"{repo['namespace']}/{repo['name']}")}
    if repo.get("link"):
        pairs["host"] = event.repository.host, urlsplit(repo["link"]).netloc
    if (golden.get("sender") or {}).get("login"):
        pairs["actor"] = event.actor, golden["sender"]["login"]
    return pairs


def push_fields(event, golden):
    if isinstance(golden["ref"], dict):  # a branch or a tag was made or deleted
        name = event.tag if isinstance(event, api.Tag) else event.branch
        return {
            "name": (name, golden["ref"]["name"]),
            "sha": (event.before or event.after, golden["ref"]["sha"]),
            "action": ("created" if event.before is None else "deleted", golden["action"]),
        }
    theirs = golden.get("commits") or []
    return {
        "ref": (event.ref, golden["ref"]),
        "after": (event.after, golden["after"]),
        "commits": (len(event.commits), len(theirs)),
        **({"before": (event.before, golden["before"])} if golden.get("before") else {}),
        **{
            f"commits.{at}": (ours.id, their["sha"])
            for at, (ours, their) in enumerate(zip(event.commits, theirs, strict=False))
        },
    }


def change_fields(event, golden):
    change = golden["pullrequest"]
    action = golden["action"]
    source = event.source.repository
    return {
        "action": (event.action, ACTIONS.get(action, action)),
        "number": (event.number, change["number"]),
        "title": (event.title, change["title"]),
        "head_ref": (event.head_ref, change["ref"]),
        "source.branch": (event.source.branch, change["source"]),
        "source.sha": (event.source.sha, change["sha"]),
        "source.repository": (source.path if source else None, change["fork"]),
        "from_fork": (event.from_fork, change["fork"] != event.repository.path),
        "target.branch": (event.target.branch, change["target"]),
        "target.sha": (event.target.sha, change["base"]["sha"]),
        "author": (event.author, change["author"]["login"]),
        "url": (event.url, change.get("link")),
        "draft": (event.draft, change.get("draft")),
        "merged": (event.action == "merged", change.get("merged")),
    }


def comment_fields(event, golden):
    return {
        "action": (event.action, golden["action"]),
        "body": (event.body, golden["comment"]["body"]),
        "author": (event.author, golden["comment"]["author"]["login"]),
        "change": (event.change, golden["pullrequest"]["number"]),
        "sha": (event.sha, golden["pullrequest"]["sha"]),
    }


FIELDS = {
    api.Push: push_fields,
    api.Tag: push_fields,
    api.ChangeRequest: change_fields,
    api.Comment: comment_fields,
}


def test_go_scm_agrees_field_by_field():
    differences = Differences(DIFFERENCES)
    for row in deliveries():
        golden = golden_of(row)
        if golden is None:
            continue
        reading = read(row)
        if isinstance(reading, api.Ignored):
            differences.note(row, {IGNORED: (reading.reason, "an event")})
            continue
        (event,) = reading.events
        differences.note(row, {**repository_fields(event, golden), **FIELDS[type(event)](event, golden)})
    differences.check()
    assert differences.compared == 30


def test_the_newer_pushes_say_their_commits():
    created, updated = (read(row).events[0] for row in sorted(deliveries()[-2:], key=lambda row: row["file"]))
    assert (created.before, len(created.commits), created.commits_complete) == (None, 1, False)
    assert (len(updated.commits), updated.commits_complete) == (2, True)
    assert updated.commits[-1].id == updated.after
    assert updated.url.startswith("https://gts-it.fnb.co.za/stash/projects/PENGINE/repos/product-engine/commits/")


# -- answers

BASE = "/rest/api/1.0/projects/prj/repos/my-repo"

UNREAD = {
    "branch_create.json": "is GitHub's, filed here by mistake",
    "content_list.json": "no folder is listed",
    "pr_comment.json": "comments come by webhook",
    "pr_comments.json": "comments come by webhook",
    "pr_comment_iso_dates.json": "comments come by webhook",
    "pr_label_comment.json": "comments are no labels here",
    "pr_label_comments.json": "comments are no labels here",
    "pr_file_diff.json": "no diff is read",
    "pr_update.json": "no pull request is edited",
    "commit_build_status.json": "statuses are reported, not read",
    "user_search.json": "nobody is looked for",
    "orgs.json": "projects are not listed",
    "create_repo.json": "no repository is made",
    "fork_repo.json": "no repository is made",
    "add_collaborator.json": "no right is given",
    "group_members.json": "groups are not resolved",
    "group_members_jane.json": "groups are not resolved",
    "group_members_ops.json": "groups are not resolved",
    "project_groups.json": "groups are not resolved",
    "project_groups_one_failing.json": "groups are not resolved",
    "project_groups_two_groups.json": "groups are not resolved",
    "project_groups_with_spaces.json": "groups are not resolved",
    "repo_groups.json": "groups are not resolved",
    "fnb_push_branch_create.json": "is a delivery, and read as one",
    "fnb_push_update.json": "is a delivery, and read as one",
}


async def listed(iterator):
    return [one async for one in iterator]


def each(found, golden, fields):
    """Pairs of two lists, by position; `golden` may be one of them or none."""
    theirs = golden if isinstance(golden, list) else [golden] if golden else None
    if theirs is None:
        return {}
    pairs = {"count": (len(found), len(theirs))}
    for at, (ours, their) in enumerate(zip(found, theirs, strict=False)):
        pairs |= {f"{at}.{field}": both for field, both in fields(ours, their).items()}
    return pairs


def ref_pairs(ours, their):
    return {"name": (ours.name, their["name"]), "sha": (ours.sha, their["sha"])}


def repository_pairs(ours, their):
    return {
        "path": (ours.repository.path, f"{their['namespace']}/{their['name']}"),
        "host": (ours.repository.host, urlsplit(their["link"]).netloc),
        "id": (ours.id, their["id"]),
        "private": (ours.visibility == "private", their["private"]),
        "url": (ours.url, their["link"].removesuffix("/browse")),
    }


def commit_pairs(ours, their):
    return {
        "id": (ours.id, their["sha"]),
        "message": (ours.message, their["message"]),
        "name": (ours.author.name, their["author"]["name"]),
        "email": (ours.author.email, their["author"]["email"]),
    }


def file_pairs(ours, their):
    return {
        "path": (ours.path, their["path"]),
        "added": (ours.status == "added", their["added"]),
        "deleted": (ours.status == "removed", their["deleted"]),
        "renamed": (ours.status == "renamed", their["renamed"]),
        **({"previous": (ours.previous_path, their["previouspath"])} if "previouspath" in their else {}),
    }


def change_pairs(ours, their):
    return {
        "number": (ours.number, their["number"]),
        "title": (ours.title, their["title"]),
        "body": (ours.body, their["body"]),
        "sha": (ours.source.sha, their["sha"]),
        "ref": (ours.head_ref, their["ref"]),
        "source": (ours.source.branch, their["source"]),
        "target": (ours.target.branch, their["target"]),
        "base": (ours.target.sha, their["base"]["sha"]),
        "fork": (ours.source.repository.path, their["fork"]),
        "url": (ours.url, their["link"]),
        "closed": (ours.state != "open", their["closed"]),
        "merged": (ours.state == "merged", their["merged"]),
        "author": (ours.author, their["author"]["login"]),
    }


def hook_pairs(ours, their):
    return {
        "id": (ours.id, their["id"]),
        "url": (ours.url, their["target"]),
        "events": (list(ours.events), their["events"]),
        "active": (ours.active, their["active"]),
    }


async def repository(provider, host, body, golden):
    host.on("GET", BASE, body)
    return each([await provider.repository("PRJ/my-repo")], golden, repository_pairs)


async def default_branch(provider, host, body, golden):
    host.on("GET", BASE, {"slug": "my-repo", "project": {"key": "PRJ"}})
    host.on("GET", f"{BASE}/branches/default", body)
    found = await provider.repository("PRJ/my-repo")
    assert found.default_branch == json.loads(body.body)["displayId"]
    return {"name": (found.default_branch, golden["name"])} if golden else {}


async def branches(provider, host, body, golden):
    host.on("GET", f"{BASE}/branches", body)
    return each(await listed(provider.branches("PRJ/my-repo")), golden, ref_pairs)


async def tags(provider, host, body, golden):
    host.on("GET", f"{BASE}/tags", body)
    return each(await listed(provider.tags("PRJ/my-repo")), golden, ref_pairs)


async def create_branch(provider, host, body, golden):
    host.on("POST", f"{BASE}/branches", body)
    await provider.create_branch("PRJ/my-repo", golden["name"], golden["sha"])
    return {}


async def commits(provider, host, body, golden):
    host.on("GET", f"{BASE}/commits", body)
    if body.body == b"{}":  # one sample is empty: no listing is not an empty one
        with pytest.raises(api.ProviderError, match="values"):
            await listed(provider.commits("PRJ/my-repo", "master"))
        return {}
    return each(await listed(provider.commits("PRJ/my-repo", "master")), golden, commit_pairs)


async def one_commit(provider, host, body, golden):
    """The same entity stands in listings, which are what we ask for."""
    return await commits(provider, host, Answer(body={"values": [json.loads(body.body)], "isLastPage": True}), golden)


async def changed_files(provider, host, body, golden):
    host.on("GET", f"{BASE}/pull-requests/1/changes", body)
    return each(await listed(provider.changed_files("PRJ/my-repo", 1)), golden, file_pairs)


async def compare(provider, host, body, golden):
    host.on("GET", f"{BASE}/compare/changes", body)
    host.on("GET", f"{BASE}/compare/commits", {"values": [], "isLastPage": True})
    found = await provider.compare("PRJ/my-repo", "a", "b")
    assert found.complete
    return each(found.files, golden, file_pairs)


async def change(provider, host, body, golden):
    number = json.loads(body.body)["id"]
    host.on("GET", f"{BASE}/pull-requests/{number}", body)
    host.on("GET", f"{BASE}/pull-requests/{number}/merge", {"canMerge": True})
    found = await provider.change("PRJ/my-repo", number)
    assert found.mergeable is (True if found.state == "open" else None)
    return each([found], golden, change_pairs)


async def changes(provider, host, body, golden):
    host.on("GET", f"{BASE}/pull-requests", body)
    return each(await listed(provider.changes("PRJ/my-repo", None)), golden, change_pairs)


async def hooks(provider, host, body, golden):
    host.on("GET", f"{BASE}/webhooks", body)
    found = await listed(provider.hooks("PRJ/my-repo"))
    assert all(hook.has_secret for hook in found)
    return each(found, golden, hook_pairs)


async def hook(provider, host, body, golden):
    host.on("POST", f"{BASE}/webhooks", body)
    return each(
        [await provider.create_hook("PRJ/my-repo", api.WantedHook(url="http://example.com"))], golden, hook_pairs
    )


async def discovered(provider, host, body, golden):
    host.on("GET", "/rest/api/1.0/repos", body)
    return each(await listed(provider.discover(api.RepositoryQuery(owner="prj"))), golden, repository_pairs)


async def members(provider, host, body, golden):
    host.on("GET", f"{BASE}/permissions/users", body)
    found = await listed(provider.members("PRJ/my-repo"))
    assert all(member.role for member in found)
    return each(found, golden, lambda ours, their: {"account": (ours.account, their["login"])})


async def committed(provider, host, body, golden):
    host.on("PUT", f"{BASE}/browse/README", body)
    made = api.FileCommit(branch="master", message="m", changes=(api.FileChange(path="README", content=b"x"),))
    assert await provider.commit_files("PRJ/my-repo", made) == json.loads(body.body)["id"]
    return {}


async def fault(provider, host, body, golden):
    host.otherwise(body._replace(status=404))
    with pytest.raises(api.NotFound, match="Project dev does not exist"):
        await provider.repository("dev/null")
    return {}


async def user(provider, host, body, golden):
    """The entity stands beside whatever somebody did."""
    person = json.loads(body.body)
    host.on("GET", f"{BASE}/permissions/users", {"values": [{"user": person, "permission": "REPO_ADMIN"}]})
    (found,) = await listed(provider.members("PRJ/my-repo"))
    return {"login": (found.account, golden["login"]), "name": (found.name, golden["name"])} if golden else {}


READ = {
    "repo.json": repository,
    "repos.json": discovered,
    "repos_filter.json": discovered,
    "default_branch.json": default_branch,
    "branch.json": branches,
    "branches.json": branches,
    "branches_filter.json": branches,
    "create_ref.json": create_branch,
    "tag.json": tags,
    "tags.json": tags,
    "commit.json": one_commit,
    "commits.json": commits,
    "changes.json": compare,
    "compare.json": compare,
    "pr_change.json": changed_files,
    "bitbucket-server-get-pull-changes.json": changed_files,
    "pr.json": change,
    "pr_iso_dates.json": change,
    "bitbucket-server-get-pull.json": change,
    "pull-request.json": change,
    "prs.json": changes,
    "webhook.json": hook,
    "webhooks.json": hooks,
    "org_members.json": members,
    "find_user_permission.json": members,
    "repo_collaborators_empty.json": members,
    "content_create.json": committed,
    "content_update.json": committed,
    "error.json": fault,
    "user.json": user,
}


def options(url):
    return {"base_url": url, "webhook_secrets": ["secret://contract/hook"], "credential": "secret://contract/api"}


async def test_every_recorded_answer_is_read_as_go_scm_reads_it():
    differences, unread, used = Differences({}), set(), set()
    for row in rows(provider="bitbucket_server", kind="api"):
        name = PurePosixPath(row["file"]).name
        if name in UNREAD:
            unread.add(name)
            continue
        used.add(name)
        async with calling(KIND, options, host=GitHost()) as (provider, host):
            pairs = await READ[name](provider, host, Answer(body=body_of(row)), golden_of(row))
            assert host.asked
        differences.note(row, pairs)
    differences.check()
    assert unread == set(UNREAD)
    assert used == set(READ)
    assert differences.compared == 49


PAGED = {
    "branches_filter.json": ("/branches", lambda provider: provider.branches("PRJ/my-repo")),
    "repos.json": ("", lambda provider: provider.discover(api.RepositoryQuery())),
    "org_members.json": ("/permissions/users", lambda provider: provider.members("PRJ/my-repo")),
}


@pytest.mark.parametrize("name", sorted(PAGED))
async def test_a_recorded_listing_is_the_same_on_many_pages(name):
    """One item a page, each page beginning where the one before said."""
    found = 0
    for row in rows(provider="bitbucket_server", kind="api"):
        values = json.loads(body_of(row))["values"] if row["file"].endswith(f"/{name}") else []
        if len(values) < 2:
            continue
        found += 1

        def page(asked, values=values):
            at = int(asked.query.get("start", 0)) // 100
            last = at == len(values) - 1
            more = {} if last else {"nextPageStart": (at + 1) * 100}
            return Answer(body={"values": [values[at]], "size": 1, "isLastPage": last, **more})

        resource, ask = PAGED[name]
        listings = []
        for answer in (page, Answer(body={"values": values, "isLastPage": True})):
            host = GitHost()
            path = f"{BASE}{resource}" if resource else "/rest/api/1.0/repos"
            host.on("GET", path, answer)
            async with calling(KIND, options, host=host) as (provider, _):
                listings.append(await listed(ask(provider)))
            asked = host.paths().count(f"GET {path}")
            assert asked == (len(values) if answer is page else 1)
        assert listings[0] == listings[1]
        assert len(listings[0]) == len(values)
    assert found


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (401, {}, api.Refused),
        (403, {}, api.Refused),
        (404, {}, api.NotFound),
        (409, {}, api.Conflict),
        (429, {"Retry-After": "600"}, api.RateLimited),
        (500, {}, api.Unavailable),
        (400, {}, api.ProviderError),
    ],
)
async def test_a_recorded_fault_is_told_in_the_hosts_words(status, headers, error):
    (row, *_) = [row for row in rows(provider="bitbucket_server", kind="api") if row["file"].endswith("/error.json")]
    async with calling(KIND, options) as (provider, host):
        host.otherwise(Answer(status, body_of(row), headers))
        with pytest.raises(error, match="Project dev does not exist") as caught:
            await provider.repository("dev/null")
    assert type(caught.value) is error
    if error is api.RateLimited:
        assert (caught.value.retry_at - NOW).total_seconds() == 600


async def test_a_recorded_answer_that_breaks_off_is_unavailable():
    """At every eighth of it, with the length that it was announced with."""
    (row, *_) = [row for row in rows(provider="bitbucket_server", kind="api") if row["file"].endswith("/repo.json")]
    body = body_of(row)
    for at in range(0, len(body) - 1, len(body) // 8):
        async with calling(KIND, options) as (provider, host):
            host.otherwise(Answer(200, body[:at]))
            with pytest.raises(api.ProviderError):
                await provider.repository("PRJ/my-repo")
            assert len(host.asked) == 1, "it came as whole as it was sent: asking again would give the same"


def test_every_signature_vector():
    count = 0
    for vector in json.loads((corpus_path() / "vectors.json").read_text()):
        if vector["header"] not in {"X-Hub-Signature-256", "X-Hub-Signature"}:
            continue
        body = vector["body"].encode() if vector["body"] else (corpus_path() / vector["body_file"]).read_bytes()
        headers = ((vector["header"].lower(), vector["signature"]),)
        delivery = api.Delivery(id="d", connection="c", received_at=NOW, headers=headers, body=body)
        secrets = [api.Secret(vector["secret"])]
        provider = BitbucketServer(site=None, client=None, credential=None, has_credential=False, secrets=secrets)
        # GitHub's older header has the same name and SHA-1, its newer one another name.
        valid = vector["expect_valid"] and vector["header"] == "X-Hub-Signature" and vector["algo"] == "sha256"
        count += valid
        if valid:
            provider.authenticate(delivery)
        else:
            with pytest.raises(api.Unauthenticated):
                provider.authenticate(delivery)
    assert count == 2


def test_no_form_of_url_does_more_than_a_value_error():
    urls = [entry.get("url") for entry in json.loads((corpus_path() / "urls.json").read_text())]
    named = {}
    for url in filter(None, urls):
        try:
            named[url] = KIND.normalise(url)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - both ways out are fine, and only these
    assert named["git@github.com:Org/Repo.git"] == "org/repo"
    assert len(named) > 10
