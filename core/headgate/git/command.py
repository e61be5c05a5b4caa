"""The one way git is run: cleared environment, argument lists, its own process group, a deadline and a budget.

Not a wrapper of git's commands; the modules beside it say which commands to run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headgate import api
from headgate.git.access import Access, check_access, forget_leftovers, open_access
from headgate.git.failures import failure, mask
from headgate.git.names import Location, check_url, shown

MAX_OUTPUT = 64 * 1024 * 1024
_MAX_STDERR = 64 * 1024
_CHUNK = 256 * 1024
_WATCH_EVERY = 0.1

_SETTINGS = (
    "core.hooksPath=/dev/null",  # a hook is a program
    "core.fsmonitor=false",  # so is a file system monitor
    "core.untrackedCache=false",
    "core.protectNTFS=true",
    "core.protectHFS=true",
    "core.askPass=",
    "credential.helper=",  # forget the machine's helpers; ours follows
    "credential.interactive=false",
    "credential.useHttpPath=false",
    "http.followRedirects=false",  # a redirect would carry the credential elsewhere
    "http.sslVerify=true",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "protocol.allow=never",
    "protocol.version=2",
    "gc.auto=0",  # gc detaches itself and would outlive its deadline
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "fetch.unpackLimit=1",  # always packs: what is copied and measured lies in one folder
    "fetch.writeCommitGraph=false",
    "fetch.fsckObjects=true",
    # What old and honest histories hold, as GitLab's list has it:
    "fetch.fsck.badTimezone=ignore",
    "fetch.fsck.missingSpaceBeforeDate=ignore",
    "fetch.fsck.zeroPaddedFilemode=ignore",
    "advice.detachedHead=false",
    "gui.recentRepo=",
    "user.useConfigOnly=true",
)


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """What a git process that ended with 0 left: its output, and its (masked) words on standard error."""

    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """The output as text without the newline at its end; bytes that are no UTF-8 become escapes."""
        return self.stdout.decode(errors="backslashreplace").rstrip("\n")


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that a process may fill, and how many bytes the files in it may have together."""

    folder: Path
    limit: int


class Git:
    """Runs git. Safe to share: nothing in it changes after construction.

    `local_roots`: folders whose repositories may be read by path. `timeout` in seconds for one process,
    `max_repository_size` in bytes. `home`: a folder of ours alone, made with mode 0700 when missing.
    """

    def __init__(
        self, *, local_roots: Sequence[Path] = (), timeout: float, max_repository_size: int, home: Path
    ) -> None:
        """Makes `home` and clears what a process that died may have left in it; starts nothing."""
        self.local_roots = tuple(local_roots)
        self.timeout = timeout
        self.max_repository_size = max_repository_size
        self._keys = home / "keys"
        self._empty = home / "empty"
        for folder in (home, self._keys, self._empty):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        forget_leftovers(self._keys)
        # upload-pack of a local repository runs with a cleared configuration and looks only here. It checks who
        # owns the folder; that an admin listed it under local_roots is the answer.
        self._local_config = home / "local.gitconfig"
        self._local_config.write_text("[safe]\n\tdirectory = *\n")
        self._path = os.environ.get("PATH", os.defpath)

    def locate(self, source: api.CloneSource) -> Location:
        """Where `source` leads, checked with its credential: `Refused`, `NotFound` or `CredentialError`."""
        location = check_url(source.url, local_roots=self.local_roots)
        check_access(location, source.credential)
        return location

    async def run(
        self,
        args: Sequence[str],
        *,
        source: api.CloneSource | None = None,
        own_repository: bool = False,
        stdin: bytes = b"",
        timeout: float | None = None,  # noqa: ASYNC109 - the deadline belongs to the process, and kills its group
        max_output: int = MAX_OUTPUT,
        growth: Growth | None = None,
        directory: Path | None = None,
    ) -> Completed:
        """Run `git <args>` to its end in `directory` (an empty one by default).

        Without `source` the process can reach no other repository at all; with it, only by that source's
        protocol and credential, both checked first. `own_repository` allows fetching from a folder that we
        made ourselves. Raises `Refused`, `NotFound`, `RateLimited`, `Unavailable` (also past the deadline),
        `Damaged`, or `ProviderError` for the rest; its messages hold no secret. Cancelling ends the whole
        process group.
        """
        location = self.locate(source) if source is not None else None
        action = f"git {_verb(args)}" + (f" of {shown(location.url)}" if location is not None else "")
        executable = shutil.which("git", path=self._path)
        if executable is None:
            raise api.ProviderError("git is not installed, or not on the PATH the server was started with")
        with contextlib.ExitStack() as stack:
            access = Access()
            if source is not None and location is not None:
                access = stack.enter_context(open_access(location, source, folder=self._keys))
            protocol = location.scheme if location is not None else ("local" if own_repository else "")
            process = await asyncio.create_subprocess_exec(
                executable,
                *_with_settings(access, protocol),
                *args,
                env=self._environment(access, protocol),
                cwd=directory or self._empty,
                pass_fds=access.descriptors,
                start_new_session=True,
                stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_CHUNK,
            )
            stdout, stderr = await _attend(
                process,
                stdin,
                deadline=timeout if timeout is not None else self.timeout,
                max_output=max_output,
                growth=growth,
                action=action,
            )
        words = mask(stderr.decode(errors="replace"), source)
        if process.returncode:
            raise failure(action, words)
        return Completed(stdout=stdout, stderr=words)

    def _environment(self, access: Access, protocol: str) -> dict[str, str]:
        """All that git and its children see; nothing of the server's own environment but `PATH`."""
        return {
            "PATH": self._path,
            "HOME": str(self._empty),
            "XDG_CONFIG_HOME": str(self._empty),
            "LANG": "C",
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._local_config) if protocol == "local" else os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "file" if protocol == "local" else protocol,
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_DEFAULT_REF_FORMAT": "files",
            **access.environment,
        }


def _verb(args: Sequence[str]) -> str:
    """The command's name, for messages; never its arguments."""
    words = iter(args)
    for word in words:
        if word == "-c":
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def _with_settings(access: Access, protocol: str) -> list[str]:
    settings = [*_SETTINGS, *access.settings]
    if protocol:
        settings.append(f"protocol.{'file' if protocol == 'local' else protocol}.allow=always")
    return [word for setting in settings for word in ("-c", setting)]


async def _attend(
    process: asyncio.subprocess.Process,
    stdin: bytes,
    *,
    deadline: float,
    max_output: int,
    growth: Growth | None,
    action: str,
) -> tuple[bytes, bytes]:
    """Feed, read and watch one process until it ends; whatever goes wrong, its whole group ends first."""
    started = time.monotonic()
    finished = False
    try:
        async with asyncio.timeout(deadline), asyncio.TaskGroup() as tasks:
            output = tasks.create_task(_read(process.stdout, max_output, action))
            errors = tasks.create_task(_read_tail(process.stderr))
            tasks.create_task(_feed(process, stdin))
            watch = tasks.create_task(_watch(growth, action))
            await output
            await errors
            await process.wait()
            watch.cancel()
        finished = True
        return output.result(), errors.result()
    except TimeoutError:
        raise api.Unavailable(f"{action}: ended after {time.monotonic() - started:.0f} s, its time limit") from None
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    finally:
        if not finished:
            await _end_group(process)


async def _read(stream: asyncio.StreamReader | None, limit: int, action: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        size += len(chunk)
        if size > limit:
            raise api.ProviderError(f"{action}: the answer is larger than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


async def _read_tail(stream: asyncio.StreamReader | None) -> bytes:
    tail = b""
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        tail = (tail + chunk)[-_MAX_STDERR:]
    return tail


async def _feed(process: asyncio.subprocess.Process, stdin: bytes) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it read what it wanted
        process.stdin.write(stdin)
        await process.stdin.drain()
        process.stdin.close()


async def _watch(growth: Growth | None, action: str) -> None:
    while growth is not None:
        if folder_size(growth.folder) > growth.limit:
            raise api.ProviderError(
                f"{action}: the repository is larger than git.max_repository_size, {growth.limit} bytes"
            )
        await asyncio.sleep(_WATCH_EVERY)


def folder_size(folder: Path) -> int:
    """Bytes of the files right in `folder`; 0 where there is none. Files may come and go meanwhile."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat(follow_symlinks=False).st_size
    return total


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """Kill the process and all its children: they share its group, as nothing git starts makes its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # Closing the pipes first: a child that escaped the group could hold them open, and wait() waits for them.
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio offers no other way
    await asyncio.shield(process.wait())
