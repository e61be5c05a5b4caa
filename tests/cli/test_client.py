"""Commands against a scripted server, over its socket and over TCP: pages, streams, refusals, names of builds."""

from __future__ import annotations

import json

import pytest

BUILD = {
    "id": "b_1",
    "job": "web-tests",
    "number": 12,
    "state": "finished",
    "outcome": "succeeded",
    "reason": "all steps succeeded",
    "trigger": "push",
    "connection": "acme",
    "repository": {"host": "github.com", "path": "acme/web"},
    "ref": "refs/heads/main",
    "sha": "a" * 40,
    "before": None,
    "change": None,
    "definition": "d" * 64,
    "parameters": {"TARGET": "staging"},
    "priority": 50,
    "event_id": "e_1",
    "decision_id": "x_1",
    "delivery_id": None,
    "queued_at": "2026-05-04T12:00:00Z",
    "started_at": "2026-05-04T12:00:01Z",
    "finished_at": "2026-05-04T12:00:03Z",
    "attempt": 1,
    "worker": "w",
    "isolation": "bubblewrap",
    "steps": [
        {
            "name": "unit tests",
            "status": "succeeded",
            "exit_code": 0,
            "started_at": "2026-05-04T12:00:01Z",
            "finished_at": "2026-05-04T12:00:03Z",
        }
    ],
}


def stream(*lines, step=1):
    events = [f"event: line\ndata: {json.dumps({'t': t, 'step': step, 'text': text})}\n\n" for t, text in lines]
    return ": a comment keeps the line warm\n\n" + "".join(events) + "event: end\ndata: {}\n\n"


def test_a_list_is_followed_over_its_pages(headgate, scripted):
    scripted.json("GET", "/api/v1/builds?limit=3", {"items": [BUILD, BUILD], "next": "c1"})
    scripted.json("GET", "/api/v1/builds?limit=1&cursor=c1", {"items": [{**BUILD, "number": 11}], "next": "c2"})
    done = headgate("builds", "-n", "3", *scripted.call)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "BUILD",
        "web-tests#12",
        "web-tests#12",
        "web-tests#11",
    ]


def test_json_is_what_the_server_said(headgate, scripted):
    scripted.json("GET", "/api/v1/builds", {"items": [BUILD], "next": None})
    assert json.loads(headgate("builds", "--json", *scripted.call).stdout) == [BUILD]


@pytest.mark.parametrize("name", ["web-tests#12", "web-tests #12"])
def test_a_build_may_be_named_as_people_say_it(headgate, scripted, name):
    scripted.json("GET", "/api/v1/builds?job=web-tests&number=12&limit=1", {"items": [BUILD], "next": None})
    shown = headgate("builds", name, *scripted.call).stdout
    assert shown.startswith("web-tests#12  succeeded  all steps succeeded\n")
    assert "unit tests  2.0 s" in shown
    assert "TARGET" in shown


def test_a_build_that_is_not_there_is_a_no(headgate, scripted):
    scripted.json("GET", "/api/v1/builds?job=web-tests&number=99&limit=1", {"items": [], "next": None})
    scripted.json("GET", "/api/v1/jobs/web-tests", {"name": "web-tests"})
    done = headgate("log", "web-tests#99", *scripted.call)
    assert done.returncode == 1
    assert "there is no build web-tests#99" in done.stderr


@pytest.mark.parametrize(
    "command", [("log", "web-test#1"), ("builds", "--job", "web-test"), ("explain", "web-test#1")], ids=" ".join
)
def test_a_job_that_is_not_there_is_said_with_the_nearest_one(headgate, scripted, command):
    scripted.json("GET", "/api/v1/builds", {"items": [], "next": None})
    scripted.json("GET", "/api/v1/jobs", {"items": [{"name": "deploy"}, {"name": "web-tests"}], "next": None})
    scripted.json("GET", "/api/v1/jobs/web-test", {"detail": "there is no job web-test"}, status=404)
    done = headgate(*command, *scripted.call)
    assert done.returncode == 1
    assert done.stderr == "headgate: there is no job web-test\n  did you mean `web-tests`?\n"


def test_a_job_that_was_removed_and_has_builds_is_not_denied(headgate, scripted):
    scripted.json("GET", "/api/v1/builds", {"items": [BUILD], "next": None})
    scripted.json("GET", "/api/v1/builds?job=web-tests&number=99&limit=1", {"items": [], "next": None})
    done = headgate("log", "web-tests#99", *scripted.call)
    assert "there is no build web-tests#99" in done.stderr


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"outcome": "cancelled", "reason": "cancelled by ada"}, "it never started (cancelled: cancelled by ada)"),
        ({"state": "queued", "outcome": None}, "it waits for its turn"),
    ],
)
def test_a_build_without_a_log_says_why(headgate, scripted, facts, said):
    scripted.json("GET", "/api/v1/builds/b_1", {**BUILD, "started_at": None, **facts})
    scripted.text("/api/v1/builds/b_1/log", "")
    done = headgate("log", "b_1", *scripted.call)
    assert (done.returncode, done.stdout) == (0, "")
    assert said in done.stderr


def test_a_name_is_one_segment_of_the_path(headgate, scripted):
    """A name with slashes must not reach another route."""
    headgate("cancel", "../jobs?x", *scripted.call)
    assert scripted.asked[0][1] == "/api/v1/builds/..%2Fjobs%3Fx"


def test_following_a_log_ends_with_the_build_s_outcome(headgate, scripted):
    scripted.json("GET", "/api/v1/builds/b_1", BUILD)
    scripted.text("/api/v1/builds/b_1/log/stream", stream((10, "hello"), (1500, "wörld \x1b[2J")), "text/event-stream")
    done = headgate("log", "-f", "b_1", *scripted.call)
    assert done.returncode == 0
    assert done.stdout == "    0.01  hello\n    1.50  wörld \\x1b[2J\n"
    scripted.json("GET", "/api/v1/builds/b_1", {**BUILD, "outcome": "failed", "reason": "step 1 said no"})
    assert headgate("log", "-f", "b_1", *scripted.call).returncode == 1


def test_a_followed_log_tells_our_lines_from_forged_ones_and_its_end_steers_no_terminal(headgate, scripted):
    scripted.json("GET", "/api/v1/builds/b_1", {**BUILD, "outcome": "failed", "reason": "git said \x1b[2J\x9b2J"})
    scripted.text(
        "/api/v1/builds/b_1/log/stream",
        stream((10, "step 1/1: test"), step=0).removesuffix("event: end\ndata: {}\n\n")
        + stream((20, "[headgate] succeeded"), (30, "\x9b2J")),
        "text/event-stream",
    )
    done = headgate("log", "-f", "b_1", *scripted.call)
    assert done.stdout == "    0.01  [headgate] step 1/1: test\n    0.02  \\[headgate] succeeded\n    0.03  \\x9b2J\n"
    assert "git said \\x1b[2J\\x9b2J" in done.stderr
    as_json = headgate("log", "-f", "--json", "b_1", *scripted.call).stdout
    assert [json.loads(line)["step"] for line in as_json.splitlines()] == [0, 1, 1]
    assert "\x9b" not in as_json
    assert json.loads(as_json.splitlines()[2])["text"] == "\x9b2J"


def test_run_sends_parameters_and_asks_for_those_without_a_value(headgate, scripted):
    scripted.json("POST", "/api/v1/jobs/web-tests/builds", BUILD, status=201)
    done = headgate(
        "run", "web-tests", "-p", "TARGET=a=b", "-p", "TOKEN", "--ref", "main", *scripted.call, stdin="geheim\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "queued web-tests#12; watch it: headgate log -f web-tests#12\n"
    (asked,) = scripted.asked
    assert json.loads(asked[3]) == {"parameters": {"TARGET": "a=b", "TOKEN": "geheim"}, "ref": "main"}
    assert "geheim" not in done.stdout + done.stderr


def test_what_the_server_finds_wrong_with_the_input_is_exit_2(headgate, scripted):
    detail = "web-tests has no parameter TARGT; did you mean TARGET?"
    scripted.json("POST", "/api/v1/jobs/web-tests/builds", {"status": 422, "detail": detail}, status=422)
    done = headgate("run", "web-tests", "-p", "TARGT=x", *scripted.call)
    assert (done.returncode, done.stderr) == (2, f"headgate: {detail}\n")


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [
        (401, 1, "HEADGATE_TOKEN"),
        (403, 1, "permission"),
        (404, 1, "why"),
        (409, 1, "why"),
        (503, 1, "in 7 s"),
        (500, 70, "its log"),
    ],
)
def test_each_refusal_says_what_to_do(headgate, scripted, status, code, word):
    scripted.json("GET", "/api/v1/jobs", {"detail": "why"}, status=status, Retry_After="7")
    done = headgate("jobs", *scripted.call)
    assert done.returncode == code
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_the_token_goes_to_the_url_and_never_to_the_socket(headgate, scripted):
    scripted.json("GET", "/api/v1/jobs", {"items": [], "next": None})
    headgate("jobs", *scripted.call, HEADGATE_TOKEN="hg_secret")
    given = scripted.asked[0][2].get("Authorization")
    assert given == ("Bearer hg_secret" if scripted.over == "url" else None)


def test_cancelling_says_what_became_of_it(headgate, scripted):
    scripted.json("GET", "/api/v1/builds/b_1", {**BUILD, "state": "running", "outcome": None})
    scripted.json("POST", "/api/v1/builds/b_1/cancel", {**BUILD, "state": "running", "outcome": None}, status=202)
    assert headgate("cancel", "b_1", *scripted.call).stdout == "web-tests#12 is being stopped\n"
    scripted.json("GET", "/api/v1/builds/b_1", BUILD)
    scripted.json("POST", "/api/v1/builds/b_1/cancel", BUILD)
    assert headgate("cancel", "b_1", *scripted.call).stdout == "web-tests#12 had already ended: succeeded\n"


def test_a_stream_that_is_cut_goes_on_where_it_ended(headgate, scripted):
    """A server that restarts while its log is followed costs no line and repeats none."""
    first = "event: line\ndata: " + json.dumps({"t": 1, "step": 1, "text": "one"}) + "\n\n"
    scripted.text("/api/v1/builds/b_1/log/stream?from=0", first, "text/event-stream")
    scripted.text("/api/v1/builds/b_1/log/stream?from=1", stream((2, "two")), "text/event-stream")
    scripted.json("GET", "/api/v1/builds/b_1", BUILD)
    done = headgate("log", "-f", "b_1", "--json", *scripted.call)
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["one", "two"]
    assert done.returncode == 0


def test_jobs_shows_what_is_wrong_with_files_beside_the_jobs_in_force(headgate, scripted):
    job = {
        "name": "web-tests",
        "source": {"connection": "acme", "repository": "acme/web"},
        "triggers": [{"kind": "push"}, {"kind": "poll"}],
        "last_build": {
            "id": "b_1",
            "number": 12,
            "state": "running",
            "outcome": None,
            "queued_at": "2026-05-04T12:00:00Z",
            "finished_at": None,
        },
    }
    problem = {
        "file": "jobs.d/web.yaml",
        "line": 7,
        "column": 3,
        "message": "no key depht",
        "hint": "did you mean `depth`?",
    }
    scripted.json("GET", "/api/v1/jobs", {"items": [job], "next": None, "problems": [problem]})
    done = headgate("jobs", *scripted.call)
    assert done.stdout.splitlines()[1].split()[:3] == ["web-tests", "#12", "running"]
    assert done.stderr == "! jobs.d/web.yaml:7:3: no key depht (did you mean `depth`?)\n"


HEALTH = {
    "status": "degraded",
    "components": [
        {"name": "git", "status": "degraded", "reason": "old"},
        {"name": "polls acme", "status": "degraded", "reason": "acme/wbe: no such repository"},
        {"name": "polls well", "status": "ok", "reason": ""},
    ],
}


def test_a_repository_that_cannot_be_asked_is_told_where_its_builds_are_missed(headgate, scripted):
    scripted.json("GET", "/api/v1/jobs", {"items": [], "next": None, "problems": []})
    scripted.json("GET", "/api/v1/explain", {"job": "web", "sha": "a" * 40, "events": []})
    scripted.json("GET", "/api/v1/builds", {"items": [], "next": None})
    scripted.json("GET", "/api/v1/jobs/web", {"name": "web"})
    scripted.json("GET", "/api/v1/health", HEALTH)
    told = "polls acme: acme/wbe: no such repository"
    assert headgate("jobs", *scripted.call).stderr == f"! {told}\n"
    assert told in headgate("explain", "--job", "web", "--commit", "a" * 40, *scripted.call).stderr
    scripted.json("GET", "/api/v1/health", {"detail": "your token may not metrics:read"}, status=403)
    assert headgate("jobs", *scripted.call).stderr == ""


def test_explaining_a_commit_wants_it_in_full(headgate, scripted):
    short = headgate("explain", "--job", "web-tests", "--commit", "abc", *scripted.call)
    assert short.returncode == 2
    assert "`git rev-parse abc`" in short.stderr
    assert scripted.asked == []
    scripted.json("GET", "/api/v1/explain", {"delivery": None, "build": None, "events": [], "builds": []})
    scripted.json("GET", "/api/v1/builds", {"items": [], "next": None})
    scripted.json("GET", "/api/v1/jobs", {"items": [], "next": None})
    never = headgate("explain", "--job", "web-tests", "--commit", "A" * 40, *scripted.call)
    assert scripted.asked[0][1] == f"/api/v1/explain?job=web-tests&sha={'a' * 40}"
    assert never.returncode == 1
    assert "nothing is at /api/v1/jobs/web-tests" in never.stderr, "the server says that there is no such job"
    scripted.json("GET", "/api/v1/jobs/web-tests", {"name": "web-tests"})
    unseen = headgate("explain", "--job", "web-tests", "--commit", "a" * 40, *scripted.call)
    assert unseen.returncode == 1
    assert f"web-tests has judged nothing about {'a' * 10}" in unseen.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "explain what: a delivery, a build, or a job and a commit?"),
        (("--job", "web-tests"), "--job and --commit go together"),
        (("d_1", "--job", "web-tests"), "one thing can be explained at a time"),
    ],
)
def test_explain_says_what_it_needs(headgate, scripted, arguments, said):
    done = headgate("explain", *arguments, *scripted.call)
    assert (done.returncode, scripted.asked) == (2, [])
    assert said in done.stderr
    assert "headgate explain job#12" in done.stderr


def test_a_state_there_is_not_is_refused_before_anybody_is_asked(headgate, scripted):
    for command in ("builds", "deliveries", "notifications"):
        done = headgate(command, "--state", "runs", *scripted.call)
        assert done.returncode == 2
        assert "'runs' is not one of" in done.stderr
    assert scripted.asked == []


def test_an_empty_list_of_some_is_not_called_an_empty_list(headgate, scripted):
    scripted.json("GET", "/api/v1/deliveries", {"items": [], "next": None})
    assert headgate("deliveries", *scripted.call).stdout.startswith("no deliveries yet")
    assert headgate("deliveries", "--state", "routed", *scripted.call).stdout.startswith("no such deliveries")


def test_parameters_without_a_value_are_the_lines_of_a_pipe(headgate, scripted):
    scripted.json("POST", "/api/v1/jobs/web-tests/builds", {"id": "b_1", "job": "web-tests", "number": 3})
    done = headgate("run", "web-tests", "-p", "A", "-p", "B=2", "-p", "C", *scripted.call, stdin="one\nthree\n")
    assert done.returncode == 0
    assert json.loads(scripted.asked[-1][3])["parameters"] == {"A": "one", "B": "2", "C": "three"}
    short = headgate("run", "web-tests", "-p", "A", "-p", "C", *scripted.call, stdin="one\n")
    assert short.returncode == 2
    assert "C has no value" in short.stderr
