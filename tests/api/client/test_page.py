"""The page about the client: its example runs, and it names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import web

from headgate import api
from headgate.api import client

PAGE = Path(__file__).parents[3].joinpath("docs/provider-client.md").read_text()


def example(number):
    """The names that one of the page's examples makes."""
    names = {}
    text = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[number]
    exec(compile(text, "provider-client.md", "exec", dont_inherit=True), names)
    return names


async def test_the_example_lists_branches_and_writes(play):
    names = example(0)

    def answer(request):
        if request.method == "POST":
            return web.json_response({"name": "main", "protected": True}, status=201)
        page = int(request.query.get("page", 1))
        return web.json_response([{"name": f"b{page}"}], headers={"x-next-page": str(page + 1) if page < 3 else ""})

    played = await play(answer)
    asking = names["open_client"]({"base_url": played.url, "credential": "secret://s/api"}, played.host)
    assert await names["branches"](asking, "acme/web") == ["b1", "b2", "b3"]
    assert (await names["protect"](asking, "acme/web", "main")).protected
    assert played.requests[0].raw_path.startswith("/api/v4/projects/acme%2Fweb/repository/branches")
    assert played.requests[0].headers["PRIVATE-TOKEN"] == "s3cret-t0ken"
    assert names["open_client"]({}, played.host).base == client.BaseUrl(
        url="https://forge.example.org/api/v4", configured=False
    )


async def test_the_example_of_tokens_that_end_gives_the_api_and_git_the_same(play):
    def answer(request):
        return web.json_response({"access_token": f"access-{len(played.requests)}", "expires_in": 60})

    played = await play(answer)
    fields = {"client_id": "app", "client_secret": "sesame-seed", "refresh_token": "refresh-0"}
    secrets = {name: api.Secret(text) for name, text in fields.items()}
    played.host._credentials["secret://s/oauth"] = api.Credential(type="oauth", fields=secrets, hosts=("127.0.0.1",))
    base = client.BaseUrl.read(played.url, configured=True)
    for_the_api, for_git = example(1)["open_logins"](played.host, "secret://s/oauth", site=base, base=base)
    assert await for_the_api(renew=False) == client.bearer(api.Secret("access-1"))
    assert (await for_git.credential()).text().reveal() == "access-1"
    assert [request.path for request in played.requests] == ["/oauth/token"]


def test_the_numbers_of_the_page_are_those_of_the_bounds():
    bounds = client.Bounds()
    for words in (
        f"`patience` ({bounds.patience:g} s)",
        f"`attempts` ({bounds.attempts})",
        f"random parts of {bounds.backoff:g} s, {bounds.backoff * 2:g} s, {bounds.backoff * 4:g} s",
        f"{bounds.failures} of these in a row",
        f"left alone for {bounds.rest:g} s",
        f"longer than {bounds.most_bytes // 2**20} MiB",
    ):
        assert words in PAGE, words


def test_functions_the_page_names_are_there():
    named = set(re.findall(r"`([a-z_]+)\(", PAGE))
    assert named >= {"next_page_header", "near_header", "budget_headers"}
    assert named <= set(client.__all__)
