"""Mock servers made of the hosts' own API descriptions accept every request that our tests of calls make.

The requests are those of the providers' own tests, recorded where they arrive; Prism says what it thinks of each.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from corpus import corpus_path
from needs import missing, need_folder

TESTS = Path(__file__).parents[1]
PRISM = TESTS / "descriptions/node_modules/.bin/prism"
READY_WITHIN = 120.0

ELSEWHERE = "the site's own, no part of the API"
NO_BODY = "its body is described in words and by example only"

# Requests a description does not have, by what they match, and why they are right all the same.
BITBUCKET = {
    r"^POST \S*/site/oauth2/access_token$": ELSEWHERE,
    r"^GET \S+/pullrequests\?state=\w+&state=": "`state` may be repeated, says its text; its schema is of one word",
    r"^GET \S+/workspaces/acme/permissions/repositories/web": "described under its older name, by team",
    r"^GET \S+/user/workspaces": "newer than the description",
    r"^GET \S+/src/\w{40}/\?format=meta": "the root of the files: an empty path, which no server made of a template knows",
    r"^POST \S+/(src|refs/branches|hooks)$": NO_BODY,
    r"^PUT \S+/hooks/": NO_BODY,
    r"^POST \S+/pullrequests/7/merge$": "the body's `type` is described as needed, and Bitbucket takes what its own example sends",
}
GITEA = {
    r"^POST \S+/login/oauth/access_token$": ELSEWHERE,
    r"^GET \S+/compare/": "since 1.22; before it the mirror compares",
    r"^GET \S+/pulls/7/files": "since 1.18; 1.15 does not list them",
    r"^GET \S+/collaborators/\w+/permission$": "since 1.17; 1.15 does not tell rights, and the role stays unknown",
    r"^GET \S+/actions/runs": "1.15 has no Actions",
    r"^POST \S+/contents$": "since 1.20; before it no request makes one commit of several files",
    r"^POST \S+/hooks$": "Forgejo's webhooks have a type of their own",
}
GITHUB = {r"^POST \S*/login/oauth/access_token$": ELSEWHERE}

# provider -> the description's file, what stands before its paths in our tests, parameters of it that hold slashes
# (Prism takes a parameter for one segment), and the table above
HOSTS = {
    "bitbucket": ("bitbucket-cloud.openapi.yml", r"/2\.0", r"/src/\w{40}/(.+)", BITBUCKET),
    "gitea": ("gitea-1.15.11.swagger.json", r"(?:/tea)?/api/v1", r"/(?:git/refs|contents)/(.+)", GITEA),
    "github": ("github-api.github.com.json.gz", r"/api/v3", r"/(?:git/refs?|contents)/(.+)", GITHUB),
}


@pytest.fixture(params=HOSTS)
def host(request):
    return request.param


@contextlib.contextmanager
def prism(file, folder):
    """A mock server of one description; gives its URL."""
    if not PRISM.exists():
        missing("Prism is not installed (npm ci --prefix tests/descriptions)")
    if file.suffix == ".gz":
        unpacked = folder / file.stem
        unpacked.write_bytes(gzip.decompress(file.read_bytes()))
        file = unpacked
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = folder / "prism.txt"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [PRISM, "mock", "--host", "127.0.0.1", "--port", str(port), "--errors", file],
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + READY_WITHIN
        while b"is listening" not in said.read_bytes():
            assert process.poll() is None, said.read_text()[-2000:]
            assert time.monotonic() < deadline, said.read_text()[-2000:]
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(30)


def recorded(provider, folder):
    """What the tests of the provider ask its host, each request once."""
    file = folder / "asked.jsonl"
    tests = [one for one in (TESTS / "plugins" / provider).glob("test_*.py") if "calling" in one.read_text()]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not corpus", "-p", "asked", "-p", "no:cacheprovider", *tests],
        cwd=TESTS.parent,
        env={**os.environ, "HEADGATE_ASKED": str(file), "PYTHONPATH": str(TESTS / "support")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return {(one["method"], one["target"], one["body"]): one for one in map(json.loads, file.read_text().splitlines())}


def objections(url, one, base, several):
    """What the mock server has against a request; not what is wrong with its own invented answer."""
    path, mark, query = re.sub(f"^{base}", "", one["target"]).partition("?")
    target = (
        re.sub(several, lambda found: found[0].replace(found[1], found[1].replace("/", "%2F")), path) + mark + query
    )
    headers = {name: value for name, value in one["headers"].items() if name.lower() not in _OWN}
    headers.setdefault("Authorization", "Bearer t0ken")
    body = base64.b64decode(one["body"]) or None
    request = urllib.request.Request(url + target, data=body, headers=headers, method=one["method"])
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
            return []
    except urllib.error.HTTPError as error:
        said = error.read()
    try:
        problem = json.loads(said)
    except ValueError:
        return []  # an answer of the description's own, such as a 404 with an example
    kind = str(problem.get("type", "")).rpartition("#")[2] if isinstance(problem, dict) else ""
    if kind == "VIOLATIONS":
        ours = [found for found in problem["validation"] if found["location"][0] == "request"]
        return [f"{'.'.join(map(str, found['location'][1:]))}: {found['message']}" for found in ours]
    return [problem["title"]] if kind in _REFUSED else []


_OWN = {"host", "content-length", "connection", "accept-encoding", "user-agent"}
_REFUSED = {
    "NO_PATH_MATCHED_ERROR",
    "NO_METHOD_MATCHED_ERROR",
    "UNPROCESSABLE_ENTITY",
    "UNAUTHORIZED",
    "INVALID_CONTENT_TYPE",
}


@pytest.mark.corpus
@pytest.mark.timeout(900)
def test_a_mock_server_of_the_hosts_own_description_accepts_every_request_we_make(host, tmp_path):
    name, base, several, differences = HOSTS[host]
    file = need_folder(corpus_path().parent / "openapi", "the descriptions of APIs") / name
    asked = recorded(host, tmp_path)
    used = set()
    refused = []
    with prism(file, tmp_path) as url:
        for one in asked.values():
            found = objections(url, one, base, several)
            known = [row for row in differences if re.search(row, f"{one['method']} {one['target']}")]
            used.update(known if found else ())
            if found and not known:
                refused.append(f"{one['method']} {one['target']}: {'; '.join(found)}")
        # The control: each of our own requests, below a path that nobody describes.
        spoilt = {**next(iter(asked.values())), "target": "/no/such/path/at/all"}
        assert objections(url, spoilt, base, several)
    print(f"{host}: {len(asked)} different requests, {len(used)} of {len(differences)} differences used")
    assert not refused, "\n".join(refused)
    assert used == set(differences), "a difference that is none any more"
    assert len(asked) > 30
