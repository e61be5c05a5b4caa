"""One run of the program `fossil`: bounded, without our environment, and what its failure means; not what is run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path

from headgate import api

LONGEST = 3600.0
"""Seconds. A first clone of a large repository takes its time; it goes on behind whoever waits for it."""

MOST_OUTPUT = 1_048_576

_TELLING = re.compile(r"error: |server says|server returned|server did not|cannot |unable ", re.IGNORECASE)
_NOT_FOUND = re.compile(r"\b404\b|not found|no such|wrong project", re.IGNORECASE)
_REFUSED = re.compile(r"\b40[13]\b|not authorized|login failed|login incorrect|password", re.IGNORECASE)


async def run_fossil(arguments: Sequence[str], *, home: Path, what: str) -> str:
    """What `fossil …` prints. Raises `ProviderError` saying `what` failed and why, in Fossil's own words."""
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LC_ALL": "C.UTF-8",
        "HOME": str(home),
        "FOSSIL_HOME": str(home),
        "FOSSIL_USER": "headgate",
        # `fossil git export` runs git.
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        **{name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ},
    }
    try:
        process = await asyncio.create_subprocess_exec(
            "fossil",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            cwd=home,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise api.ProviderError("the program fossil is not installed on this machine") from None
    try:
        async with asyncio.timeout(LONGEST):
            output = await _all_of(process)
    except TimeoutError:
        raise api.Unavailable(f"{what} took longer than {LONGEST:.0f} s") from None
    finally:
        await _end(process)
    if process.returncode:
        raise _failure(what, output)
    return output


async def exchange(arguments: Sequence[str], *, home: Path, what: str) -> None:
    """A clone or pull. It exits with 0 also when the server refused it or was not reached; its words tell."""
    output = await run_fossil(arguments, home=home, what=what)
    lines = _lines(output)
    if any(_TELLING.match(line) for line in lines) or not any(line.startswith("Round-trips: ") for line in lines):
        raise _failure(what, output)


async def _all_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    kept = bytearray()
    while piece := await process.stdout.read(65_536):
        kept += piece
        del kept[:-MOST_OUTPUT]
    await process.wait()
    return kept.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """The whole group: `fossil git export` has started git."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _failure(what: str, output: str) -> api.ProviderError:
    lines = _lines(output)
    telling = sorted((line for line in lines if _TELLING.match(line)), key=lambda line: not line.startswith("Error: "))
    words = (telling or lines[-1:] or ["it said nothing"])[0][:200]
    message = f"{what} failed: {words}"
    if _REFUSED.search(words):
        return api.Refused(message)
    return api.NotFound(message) if _NOT_FOUND.search(words) else api.Unavailable(message)


def _lines(output: str) -> list[str]:
    """Progress overwrites itself with carriage returns."""
    return [line.strip() for line in re.split(r"[\r\n]+", output) if line.strip()]
