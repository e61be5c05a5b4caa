"""Errors by who must act, in the provider's own words, shortened."""

from __future__ import annotations

import pytest
from aiohttp import web

from headgate import api
from headgate.api.client import Answer, Bounds, Dialect, said
from headgate_plugins.github.client import DIALECT as GITHUB

ONCE = Bounds(attempts=1)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, api.ProviderError),
        (401, api.Refused),
        (403, api.Refused),
        (404, api.NotFound),
        (408, api.Unavailable),
        (409, api.Conflict),
        (410, api.NotFound),
        (412, api.Conflict),
        (418, api.ProviderError),
        (422, api.ProviderError),
        (429, api.RateLimited),
        (500, api.Unavailable),
        (503, api.Unavailable),
    ],
)
async def test_a_status_has_its_meaning(play, in_turn, status, error):
    played = await play(in_turn((status, {"message": "because"}, {})), bounds=ONCE)
    with pytest.raises(api.ProviderError) as caught:
        await played.client.call("GET", "/x")
    assert type(caught.value) is error
    assert str(caught.value) == f"Played answered {status} to GET /x: because"


async def test_a_dialect_may_know_better_also_of_what_looks_like_success(play, in_turn):
    """Azure DevOps shows its sign-in page with 203."""
    dialect = Dialect(name="Played", meanings={203: api.Refused, 422: api.Conflict})
    for status, error in ((203, api.Refused), (422, api.Conflict)):
        played = await play(in_turn(status), dialect=dialect)
        with pytest.raises(error):
            await played.client.call("GET", "/x")


async def test_a_dialect_may_read_what_the_status_does_not_say(play, in_turn):
    """AWS answers 400 to everything; what it is about stands in the body."""

    def meaning(answer):
        return api.NotFound if answer.plain()["code"] == "gone" else None

    dialect = Dialect(name="Played", meaning=meaning, meanings={400: api.Conflict})
    for code, error in (("gone", api.NotFound), ("other", api.Conflict)):
        played = await play(in_turn((400, {"code": code}, {})), dialect=dialect)
        with pytest.raises(error):
            await played.client.call("GET", "/x")
    played = await play(in_turn((200, {"code": "gone"}, {})), dialect=dialect)
    assert (await played.client.call("GET", "/x")).status == 200


@pytest.mark.parametrize(
    ("headers", "missing"),
    [
        ({"X-Accepted-OAuth-Scopes": "repo, repo:status", "X-OAuth-Scopes": "read:org"}, ("repo", "repo:status")),
        ({"X-Accepted-OAuth-Scopes": "repo, repo:status", "X-OAuth-Scopes": "read:org, repo"}, ()),
        ({"X-Accepted-OAuth-Scopes": "", "X-OAuth-Scopes": "repo"}, ()),
        ({"X-Accepted-GitHub-Permissions": "statuses=write"}, ("statuses=write",)),
        (
            {"WWW-Authenticate": 'Bearer realm="x", error="insufficient_scope", scope="api read_user"'},
            ("api", "read_user"),
        ),
        ({"WWW-Authenticate": 'Bearer error="invalid_token", scope="api"'}, ()),
        ({}, ()),
    ],
)
async def test_a_refusal_names_the_missing_scope(play, in_turn, headers, missing):
    played = await play(in_turn((403, {"message": "no"}, headers)), dialect=GITHUB)
    with pytest.raises(api.Refused) as caught:
        await played.client.call("GET", "/x")
    assert caught.value.missing == missing
    assert str(caught.value).endswith(f"(needs {', '.join(missing)})" if missing else "no")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "Bad credentials", "documentation_url": "https://x"}', "Bad credentials"),
        (b'{"message": "401 Unauthorized"}', "401 Unauthorized"),
        (b'{"error": "invalid_grant", "error_description": "The code expired"}', "The code expired; invalid_grant"),
        (b'{"type": "error", "error": {"message": "Not here", "detail": "at all"}}', "Not here; at all"),
        (b'{"errors": [{"context": null, "message": "No such PR", "exceptionName": "x"}]}', "No such PR"),
        (b'{"message": {"name": ["has already been taken"]}}', "name: has already been taken"),
        (
            b'{"message": "Validation Failed", "errors": [{"resource": "Hook", "code": "custom", "message": "exists"}]}',
            "Validation Failed; exists",
        ),
        (
            b'{"errors": [{"resource": "Hook", "field": "url", "code": "missing"}]}',
            "resource: Hook field: url code: missing",
        ),
        (b'["a", "b"]', "a; b"),
        (b'"just a string"', ""),
        (b"<html>secret page</html>", ""),
        (b'{"message": "two\\nlines\\tand \\u001b[31mred"}', "two lines and \N{REPLACEMENT CHARACTER}[31mred"),
        (b'{"message": 7, "error": true}', ""),
        (b"", ""),
    ],
)
def test_words_of_all_providers(body, words):
    assert said(Answer(what="", status=400, headers={}, body=body)) == words


def test_words_are_shortened():
    words = said(Answer(what="", status=400, headers={}, body=b'{"message": "' + b"x" * 9000 + b'"}'))
    assert len(words) == 200
    assert words.endswith("…")


async def test_an_error_page_is_not_repeated(play):
    played = await play(lambda _: web.Response(status=502, text="<html>inner host 10.1.2.3"), bounds=ONCE)
    with pytest.raises(api.Unavailable) as caught:
        await played.client.call("GET", "/x")
    assert str(caught.value) == "Played answered 502 to GET /x"


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("text/plain", "not permitted here"),
        ("Text/Plain; charset=UTF-8", "not permitted here"),
        ("text/html", ""),
        ("", ""),
    ],
)
def test_plain_text_is_words_and_a_page_is_not(content_type, words):
    """Gerrit has no JSON for errors."""
    headers = {"content-type": content_type} if content_type else {}
    assert said(Answer(what="", status=403, headers=headers, body=b"not permitted\n here")) == words
