"""`headgate connections`: tests of credentials, listings of a host and its webhooks, against a scripted server."""

from __future__ import annotations

import json

import pytest

OPEN = {"name": "hub", "provider": "github", "open": True, "problem": "", "webhook_url": "https://ci/webhooks/hub"}
CAN = {**OPEN, "capabilities": ["test", "discover"]}
SHUT = {**OPEN, "name": "shut", "open": False, "problem": "secret://env/X is missing", "capabilities": []}
PLAIN = {**OPEN, "name": "plain", "provider": "git", "capabilities": ["clone"]}
REPORT = {"user": "ada", "scopes": ["repo"], "permissions": [], "missing": [], "expires_at": None, "message": ""}
HOOK = {"id": "1", "url": "https://ci/webhooks/hub", "events": ["push"], "active": True}
BELOW = "/api/v1/connections/hub"


@pytest.fixture
def connections(scripted):
    def say(*those):
        scripted.json("GET", "/api/v1/connections", {"items": those, "next": None})

    say(CAN, PLAIN)
    return say


def repository(path):
    return {
        "repository": {"host": "github.com", "path": path},
        "default_branch": "main",
        "visibility": "private",
        "archived": False,
    }


def test_all_connections_are_tested_and_a_good_one_exits_with_0(headgate, scripted, connections):
    scripted.json("GET", f"{BELOW}/test", REPORT)
    done = headgate("connections", "test", *scripted.call)
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        ["✓ hub: ada", "  scopes: repo", "– plain: its provider has nothing to test"],
    )


@pytest.mark.parametrize(
    ("report", "said"),
    [({**REPORT, "missing": ["repo:status"]}, "missing: repo:status"), ({**REPORT, "user": None}, None)],
)
def test_a_missing_permission_exits_with_1(headgate, scripted, connections, report, said):
    scripted.json("GET", f"{BELOW}/test", report)
    done = headgate("connections", "test", "hub", *scripted.call)
    assert done.returncode == (1 if said else 0)
    assert (said or "✓ hub: its host tells no user") in done.stdout


def test_a_refused_and_a_closed_connection_say_why_and_exit_with_1(headgate, scripted, connections):
    connections(CAN, SHUT)
    scripted.json("GET", f"{BELOW}/test", {"detail": "the token is no longer valid"}, status=502)
    done = headgate("connections", "test", "--json", *scripted.call)
    assert done.returncode == 1
    hub, shut = json.loads(done.stdout)
    assert "no longer valid" in hub["problem"]
    assert shut["problem"] == "secret://env/X is missing"


def test_what_a_host_refuses_is_a_no_and_not_a_fault_of_the_server(headgate, scripted):
    scripted.json("GET", f"{BELOW}/repositories", {"detail": "GitHub answered 401 to GET /user: bad token"}, status=502)
    done = headgate("connections", "repos", "hub", *scripted.call)
    assert (done.returncode, "server failed" in done.stderr) == (1, False)
    assert "bad token" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("test", "hbu"),
        ("repos", "hbu"),
        ("hooks", "hbu", "acme/web"),
        ("hooks", "hbu", "acme/web", "--set"),
        ("missed", "hbu", "acme/web"),
    ],
    ids=" ".join,
)
def test_an_unknown_connection_is_bad_input(headgate, scripted, connections, command):
    done = headgate("connections", *command, *scripted.call)
    assert done.returncode == 2
    assert done.stderr == "headgate: there is no connection hbu\n  there are hub, plain\n"


def test_what_a_connection_that_is_there_does_not_have_is_a_no(headgate, scripted, connections):
    scripted.json("GET", f"{BELOW}/hooks", {"detail": "no repository acme/web"}, status=404)
    done = headgate("connections", "hooks", "hub", "acme/web", *scripted.call)
    assert (done.returncode, done.stderr) == (1, "headgate: no repository acme/web\n")


def test_repositories_page_after_page_with_filters(headgate, scripted):
    path = f"{BELOW}/repositories?owner=acme&archived=false&limit=100"
    scripted.json("GET", path, {"items": [repository("acme/web")], "next": "100"})
    scripted.json("GET", f"{path}&cursor=100", {"items": [repository("acme/lib")], "next": None})
    done = headgate("connections", "repos", "hub", "--owner", "acme", "--active", "--json", *scripted.call)
    assert done.returncode == 0, done.stderr
    assert [one["repository"]["path"] for one in json.loads(done.stdout)] == ["acme/web", "acme/lib"]


def test_repositories_as_a_table_and_none(headgate, scripted):
    scripted.json("GET", f"{BELOW}/repositories", {"items": [repository("acme/web")], "next": None})
    shown = headgate("connections", "repos", "hub", *scripted.call).stdout.splitlines()
    assert shown[1].split() == ["acme/web", "main", "private"]
    scripted.json("GET", f"{BELOW}/repositories", {"items": [], "next": None})
    assert "no repository" in headgate("connections", "repos", "hub", *scripted.call).stdout


def hooks(*items):
    return {"items": items, "next": None, "wanted": HOOK["url"]}


@pytest.mark.parametrize(
    ("page", "code", "said"),
    [
        (hooks(), 1, "--set makes one"),
        (hooks({"hook": HOOK, "ours": True, "faults": []}), 0, "ours"),
        (hooks({"hook": HOOK, "ours": True, "faults": ["it has no secret"]}), 1, "it has no secret"),
    ],
)
def test_hooks_are_shown_with_what_is_wrong(headgate, scripted, page, code, said):
    scripted.json("GET", f"{BELOW}/hooks", page)
    done = headgate("connections", "hooks", "hub", "acme/web", *scripted.call)
    assert done.returncode == code
    assert said in done.stdout


def test_a_hook_is_set_and_removed(headgate, scripted):
    scripted.json("GET", f"{BELOW}/hooks", hooks({"hook": HOOK, "ours": True, "faults": []}))
    scripted.json("POST", f"{BELOW}/hooks", {"hook": HOOK, "did": "created"})
    scripted.answers["POST", f"{BELOW}/hooks/remove"] = (204, {}, b"")
    done = headgate("connections", "hooks", "hub", "acme/web", "--set", *scripted.call)
    assert done.returncode == 0, done.stderr
    assert "created webhook 1" in done.stderr
    done = headgate("connections", "hooks", "hub", "acme/web", "--remove", "1", *scripted.call)
    assert done.returncode == 0, done.stderr
    assert [body for method, _, _, body in scripted.asked if method == "POST"] == [
        b'{"repository": "acme/web"}',
        b'{"repository": "acme/web", "hook": "1"}',
    ]
    both = headgate("connections", "hooks", "hub", "acme/web", "--set", "--remove", "1", *scripted.call)
    assert both.returncode == 2


def sent(number, **more):
    return {"id": number, "key": f"k{number}", "event": "push", "at": "2026-01-05T12:00:00Z", "status": 503} | more


def test_what_was_missed_is_listed_and_exits_with_1(headgate, scripted):
    path = f"{BELOW}/missed?repository=acme%2Fweb&days=7"
    scripted.json("GET", path, {"items": [sent("1"), sent("2", status=None, key=None)], "unknown": "it is short"})
    done = headgate("connections", "missed", "hub", "acme/web", "--days", "7", *scripted.call)
    assert (done.returncode, [" ".join(line.split()) for line in done.stdout.splitlines()]) == (
        1,
        [
            "FAILED AT EVENT ANSWER KEY",
            "2026-01-05T12:00:00Z push 503 k1",
            "2026-01-05T12:00:00Z push none none (id 2)",
            "--recover has the host send them again",
            "not all is known: it is short",
        ],
    ), done.stderr
    shown = headgate("connections", "missed", "hub", "acme/web", "--days", "7", "--json", *scripted.call)
    assert [one["id"] for one in json.loads(shown.stdout)["items"]] == ["1", "2"]
    scripted.json("GET", f"{BELOW}/missed?repository=acme%2Fweb&days=1", {"items": [], "unknown": ""})
    done = headgate("connections", "missed", "hub", "acme/web", *scripted.call)
    assert (done.returncode, done.stdout) == (0, "nothing is missing, as far as the host remembers\n")


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ({}, 0, "the host sends 1 again"),
        ({"left": 4, "stopped": "slow down"}, 1, "4 more were not asked for: slow down"),
        ({"refused": [{"delivery": sent("2"), "reason": "it is too old"}]}, 1, "2 is not sent again: it is too old"),
    ],
)
def test_what_was_missed_is_sent_again(headgate, scripted, more, code, said):
    answer = {"asked": [sent("1")], "refused": [], "left": 0, "stopped": "", "unknown": ""} | more
    scripted.json("POST", f"{BELOW}/missed", answer)
    done = headgate("connections", "missed", "hub", "acme/web", "--recover", *scripted.call)
    assert done.returncode == code, done.stderr
    assert said in done.stdout
    assert scripted.asked[-1][3] == b'{"repository": "acme/web", "days": 1}'
