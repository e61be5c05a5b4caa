"""Log lines: their two forms, what they carry, and that no secret passes."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from headgate.telemetry.logs import configure_logging, log_context


@pytest.fixture(autouse=True)
def restored_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def hush(text: str) -> str:
    return text.replace("hunter2", "***")


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_carry_time_level_and_the_ids_of_their_context():
    stream = io.StringIO()
    configure_logging(log_format="json", level="info", redact=hush, stream=stream)
    with log_context(delivery_id="d_1", build_id="b_2"):
        structlog.get_logger().info("build planned", job="web")
    structlog.get_logger().info("outside")
    inside, outside = lines(stream)
    assert inside["event"] == "build planned"
    assert (inside["delivery_id"], inside["build_id"], inside["job"]) == ("d_1", "b_2", "web")
    assert inside["level"] == "info"
    assert inside["timestamp"].endswith("Z")
    assert "delivery_id" not in outside


def say_secrets() -> None:
    log = structlog.get_logger()
    log.info("a hunter2 event", plain="hunter2", nested={"hunter2": ["x hunter2", {"deep": ("hunter2",)}]})
    log.info("an object", value=ValueError("hunter2"), raw=b"hunter2")
    logging.getLogger("somebody.else").warning("the password is %s", "hunter2")
    try:
        int("hunter2")
    except ValueError:
        log.exception("it broke")
        logging.getLogger("somebody.else").exception("it broke there")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_every_string_of_a_line_is_masked(log_format):
    stream = io.StringIO()
    configure_logging(log_format=log_format, level="info", redact=hush, stream=stream)
    say_secrets()
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("***") >= 9


def test_without_redaction_the_same_lines_leak():
    """The negative control of the test above."""
    stream = io.StringIO()
    configure_logging(log_format="json", level="info", redact=str, stream=stream)
    say_secrets()
    assert stream.getvalue().count("hunter2") >= 9


def test_lines_below_the_level_and_chatter_of_libraries_are_left_out():
    stream = io.StringIO()
    configure_logging(log_format="json", level="info", redact=str, stream=stream)
    structlog.get_logger().debug("unseen")
    logging.getLogger("aiosqlite").info("unseen")
    logging.getLogger("aiosqlite").warning("seen")
    assert [line["event"] for line in lines(stream)] == ["seen"]


def test_auto_is_json_away_from_a_terminal():
    stream = io.StringIO()
    configure_logging(log_format="auto", level="info", redact=str, stream=stream)
    structlog.get_logger().info("hello")
    assert lines(stream)[0]["event"] == "hello"
