"""Structured logs, for a person or a machine, with every value masked; not where a build's output goes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Literal, TextIO, TypeAlias

import structlog

from headgate.telemetry.plain import plain, plain_json

LogFormat: TypeAlias = Literal["auto", "json", "console"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
Redact: TypeAlias = Callable[[str], str]

MAX_NESTING = 6
"""Values of a log line nested deeper are shown as `…`: a log line is no place for a tree."""

_LOUD_LIBRARIES = ("aiosqlite", "alembic", "asyncio", "apscheduler", "git", "sqlalchemy", "watchfiles")
"""Libraries whose debug and info lines say nothing to an admin."""


def configure_logging(
    *,
    log_format: LogFormat,
    level: LogLevel,
    redact: Redact,
    stream: TextIO | None = None,
    told: Collection[str] = (),
) -> None:
    """Set up structlog and the standard library's logging for the process; the last call wins.

    `redact` masks secrets in a text; it sees every string of a line, keys and tracebacks included, and may grow
    more secrets after this call. `auto` is console on a terminal and JSON elsewhere. `stream` is stderr by default.
    `told`: events that a person at the terminal is told otherwise; the console leaves them out.
    """
    output = stream or sys.stderr
    as_console = log_format == "console" or (log_format == "auto" and output.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        # A person compares with the clock on the wall, a machine with other machines.
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S" if as_console else "iso", utc=not as_console),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _redaction(redact),
    ]
    renderer: structlog.types.Processor = _json_line
    if as_console:
        shared = [_leave_out(frozenset(told)), *shared, _for_terminals]
        renderer = structlog.dev.ConsoleRenderer(
            colors=output.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=False,  # tests and a reload configure again
    )
    bridge = logging.StreamHandler(output)
    bridge.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _redaction(redact), renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [bridge]
    root.setLevel(threshold)
    for name in _LOUD_LIBRARIES:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


def log_context(*, delivery_id: str | None = None, build_id: str | None = None) -> AbstractContextManager[Any]:
    """Within it, every line of this task names the delivery and the build it is about."""
    given = {"delivery_id": delivery_id, "build_id": build_id}
    return structlog.contextvars.bound_contextvars(**{name: value for name, value in given.items() if value})


def _leave_out(told: frozenset[str]) -> structlog.types.Processor:
    def drop(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if line.get("event") in told:
            raise structlog.DropEvent
        return line

    return drop


def _redaction(redact: Redact) -> structlog.types.Processor:
    def mask_line(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {_mask(key, redact, 0): _mask(value, redact, 0) for key, value in line.items()}

    return mask_line


def _json_line(logger: Any, method: str, line: MutableMapping[str, Any]) -> str:
    """One line of JSON that also a terminal can be shown."""
    render = structlog.processors.JSONRenderer(sort_keys=False, default=repr, ensure_ascii=False)
    text = render(logger, method, line)
    return plain_json(text if isinstance(text, str) else text.decode())


def _for_terminals(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Strangers' words lose their power over a terminal; the renderer's own colours come later, and keep theirs."""
    return {plain(key): plain(value) if isinstance(value, str) else value for key, value in line.items()}


def _mask(value: Any, redact: Redact, depth: int) -> Any:
    """The value with every text masked; what is no plain value is masked as its `repr`, which is what is shown."""
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= MAX_NESTING:
        return "…"
    if isinstance(value, Mapping):
        return {redact(str(key)): _mask(item, redact, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask(item, redact, depth + 1) for item in value]
    return redact(str(value) if isinstance(value, BaseException) else repr(value))
