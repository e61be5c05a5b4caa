"""Metrics: what the methods count, and that strangers cannot make new label values without end."""

from __future__ import annotations

from headgate.api import Outcome
from headgate.telemetry.metrics import MAX_EVENTS, Metrics


def test_deliveries_are_counted_by_provider_connection_event_and_result():
    metrics = Metrics()
    for _ in range(3):
        metrics.delivery(provider="github", connection="acme", event="push", result="recorded")
    labels = {"provider": "github", "connection": "acme", "event": "push", "result": "recorded"}
    assert metrics.value("headgate_deliveries_total", **labels) == 3


def test_events_beyond_the_bound_or_of_a_strange_form_count_as_other():
    metrics = Metrics()
    for number in range(MAX_EVENTS + 500):
        metrics.delivery(provider="github", connection="acme", event=f"event_{number}", result="ignored")
    metrics.delivery(provider="gitlab", connection="lab", event='x"} 1\nevil 1', result="ignored")
    lines = metrics.exposition().decode().splitlines()
    assert len([line for line in lines if line.startswith("headgate_deliveries_total{")]) == MAX_EVENTS + 2
    assert (
        metrics.value(
            "headgate_deliveries_total", provider="github", connection="acme", event="other", result="ignored"
        )
        == 500
    )
    assert not any(line.startswith("evil") for line in lines)


def test_every_method_shows_in_the_exposition():
    metrics = Metrics()
    metrics.decision(build=True)
    metrics.decision(build=False)
    metrics.build_finished(Outcome.SUCCEEDED)
    metrics.queue_depth({"queued": 7, "running": 2})
    metrics.backlog(5)
    metrics.observe_queue_wait(0.2)
    metrics.observe_poll(1.5, succeeded=True)
    metrics.observe_git(0.3, operation="fetch", succeeded=False)
    metrics.notification(notifier="commit_status", result="told")
    metrics.observe_request(0.01, method="GET", route="/api/v1/builds", status=200)
    metrics.plugin_failed("github")
    metrics.configuration(valid=True, job_problems=3)
    metrics.tasks(12)
    expected = {
        'headgate_decisions_total{verdict="build"} 1.0',
        'headgate_decisions_total{verdict="no_build"} 1.0',
        'headgate_builds_total{outcome="succeeded"} 1.0',
        'headgate_queue_depth{state="queued"} 7.0',
        "headgate_deliveries_waiting 5.0",
        "headgate_queue_wait_seconds_count 1.0",
        'headgate_poll_duration_seconds_count{result="succeeded"} 1.0',
        'headgate_git_duration_seconds_count{operation="fetch",result="failed"} 1.0',
        'headgate_notifications_total{notifier="commit_status",result="told"} 1.0',
        'headgate_http_request_duration_seconds_count{method="GET",route="/api/v1/builds",status="200"} 1.0',
        'headgate_plugin_failures_total{plugin="github"} 1.0',
        "headgate_config_valid 1.0",
        "headgate_job_problems 3.0",
        "headgate_tasks 12.0",
    }
    assert expected <= set(metrics.exposition().decode().splitlines())
    assert metrics.value("process_open_fds") > 2


def test_two_servers_in_one_process_do_not_share_numbers():
    one, other = Metrics(), Metrics()
    one.decision(build=True)
    assert other.value("headgate_decisions_total", verdict="build") == 0
