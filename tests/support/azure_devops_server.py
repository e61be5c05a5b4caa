"""Answers written after Azure DevOps' REST documentation, and a connection to a server that gives them."""

from __future__ import annotations

import asyncio
import inspect

from azure_devops_payloads import ADA, BOB, NEW, OLD, OTHER, PAGE, REPOSITORY

from headgate import api
from headgate.api.testing.calls import Answer, GitHost, calling
from headgate_plugins import azure_devops

KIND = next(iter(azure_devops.headgate_providers()))
WEB = "Shop Floor/Web Shop"
REPO = "/acme/Shop%20Floor/_apis/git/repositories/Web%20Shop"
PROJECT = "/acme/Shop%20Floor/_apis"
HOOKS = "/acme/_apis/hooks/subscriptions"

PRINCIPAL = api.Credential(
    type="service_principal",
    fields={
        "tenant_id": api.Secret("tenant-1"),
        "client_id": api.Secret("client-1"),
        "client_secret": api.Secret("principal's secret"),
    },
    hosts=("127.0.0.1",),
)
JWT = "head.claims.seal"


def options(url):
    return {
        "base_url": f"{url}/acme",
        "authority": f"{url}/login",
        "webhook_secrets": ["secret://contract/hook"],
        "credential": "secret://contract/api",
    }


def changed_options(**changes):
    """`options` with changes; `None` leaves a key out."""

    def changed(url):
        return {name: value for name, value in (options(url) | changes).items() if value is not None}

    return changed


def listed(*values, token=None):
    """One page; `token`: how the next is asked for."""
    headers = {"x-ms-continuationtoken": token} if token else {}
    return Answer(body={"value": list(values), "count": len(values)}, headers=headers)


def repository(**changes):
    return REPOSITORY | {"isDisabled": False, "size": 7} | changes


def ref(name="refs/heads/main", sha=NEW, **more):
    return {"name": name, "objectId": sha, "creator": ADA, **more}


def commit(sha, comment="Fix the till"):
    author = {"name": "Ada Byron", "email": "ada@acme.example", "date": "2026-01-05T11:00:00Z"}
    return {"commitId": sha, "author": author, "comment": comment, "remoteUrl": f"{PAGE}/commit/{sha}"}


def change(number=7, **changes):
    return {
        "repository": REPOSITORY,
        "pullRequestId": number,
        "status": "active",
        "createdBy": ADA,
        "title": "A faster till",
        "description": "It rings.",
        "sourceRefName": "refs/heads/topic/till",
        "targetRefName": "refs/heads/main",
        "mergeStatus": "succeeded",
        "isDraft": False,
        "lastMergeSourceCommit": {"commitId": NEW},
        "lastMergeTargetCommit": {"commitId": OLD},
        "lastMergeCommit": {"commitId": OTHER},
        "reviewers": [BOB | {"vote": -5}, ADA | {"vote": 10}],
        "labels": [{"name": "ui", "active": True}],
    } | changes


def entry(path, kind="edit", **more):
    item = {"objectId": NEW, "path": path} | more.pop("item", {})
    return {"changeType": kind, "item": item, **more}


def ask(use, host=None, *, credential=None, settings=options):
    """`use(provider, host)` on an open connection: what it gives, a listing as a list."""

    async def asked():
        given = {} if credential is None else {"credential": credential}
        async with calling(KIND, settings, host=host, **given) as (provider, there):
            result = use(provider, there)
            if inspect.isasyncgen(result):
                return [one async for one in result]
            return await result

    return asyncio.run(asked())


def on(answers):
    """A host that gives `answers`, each by `"GET /path"`; a list is given in turn."""
    host = GitHost()
    for what, answer in answers.items():
        method, path = what.split(" ", 1)
        host.on(method, path, *(answer if isinstance(answer, list) else [answer]))
    return host
