"""A real Git server on loopback for tests: `git http-backend` behind aiohttp; not a model of one.

```python
from git_server import GitServer, commit, commit_to, push

async with GitServer(tmp_path / "hosted", users={"bot": "s3cret"}) as server:
    bare = server.create("team/app")              # a bare repository that accepts pushes
    sha = commit_to(bare, {"README": "hi\n"}, "First")    # a commit without a worktree, straight into refs/heads/main
    source = api.CloneSource(url=server.url("team/app"))
```

`commit` works in a checkout and `push` sends it over HTTP, so that the repository's hooks run. `push` and
`run_git` are async because the server answers on the same event loop: a blocking git would wait for ever.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": os.devnull,
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}
"""What git sees in tests: nothing of the machine's own configuration."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeenRequest:
    """One request as it came in and how it was answered; `received` and `sent` count body bytes."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    status: int
    received: int
    sent: int

    @property
    def service(self) -> str:
        """`advertise`, `upload-pack`, `receive-pack`, or the path of anything else."""
        if self.path.endswith("/info/refs"):
            return "advertise"
        return self.path.rpartition("/git-")[2] if "/git-" in self.path else self.path


class GitServer:
    """Serves the bare repositories below `root`. With `users` (name → password) every request must sign in.

    `requests` lists what was answered. While `gate` is cleared, requests for which `waits` is true set `arrived`
    and wait. `version_2=False` makes it a server that only knows protocol version 0; `redirect` (a URL) makes it
    answer every request with 302 to there.
    """

    def __init__(self, root: Path, *, users: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.users = users
        self.requests: list[SeenRequest] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()
        self.waits: Callable[[web.Request], bool] = lambda _: True
        self.version_2 = True
        self.redirect: str | None = None
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def url(self, name: str = "") -> str:
        """The address of a repository (`team/app`), or of the server."""
        return f"http://127.0.0.1:{self.port}" + (f"/{name}.git" if name else "")

    def create(self, name: str, *, object_format: str = "sha1") -> Path:
        """A new bare repository `<root>/<name>.git` that accepts pushes over HTTP."""
        path = self.root / f"{name}.git"
        path.mkdir(parents=True)
        git(path, "init", "--quiet", "--bare", "--initial-branch=main", f"--object-format={object_format}")
        git(path, "config", "http.receivepack", "true")
        return path

    def count(self, service: str, *, status: int = 200) -> int:
        """How many requests of this service (`advertise`, `upload-pack`, `receive-pack`) ended with `status`."""
        return sum(1 for request in self.requests if request.service == service and request.status == status)

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.content.read()
        if self.waits(request):
            self.arrived.set()
            await self.gate.wait()
        response = await self._respond(request, body)
        sent = len(response.body) if isinstance(response.body, bytes) else 0
        self.requests.append(
            SeenRequest(
                method=request.method,
                path=request.path,
                query=request.query_string,
                headers={name.lower(): value for name, value in request.headers.items()},
                status=response.status,
                received=len(body),
                sent=sent,
            )
        )
        return response

    async def _respond(self, request: web.Request, body: bytes) -> web.Response:
        if self.redirect is not None:
            return web.Response(status=302, headers={"Location": self.redirect})
        user = self._user(request)
        if self.users is not None and user is None:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'}, text="who are you?")
        return await self._run_backend(request, body, user or "anonymous")

    def _user(self, request: web.Request) -> str | None:
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        if self.users is None or scheme.lower() != "basic":
            return None
        user, _, password = base64.b64decode(encoded).decode().partition(":")
        return user if self.users.get(user) == password else None

    async def _run_backend(self, request: web.Request, body: bytes, user: str) -> web.Response:
        """One CGI call. See https://git-scm.com/docs/git-http-backend."""
        environment = {
            **ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),  # aiohttp has undone the gzip
            "REMOTE_USER": user,
            "REMOTE_ADDR": "127.0.0.1",
        }
        if self.version_2 and "Git-Protocol" in request.headers:
            environment["GIT_PROTOCOL"] = request.headers["Git-Protocol"]
        process = await asyncio.create_subprocess_exec(
            "git",
            "-c",
            "safe.directory=*",
            "http-backend",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        output, _ = await process.communicate(body)
        head, _, content = output.partition(b"\r\n\r\n")
        headers = {}
        status = 200
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            if name.lower() == "status":
                status = int(value.split()[0])
            elif name:
                headers[name] = value
        return web.Response(status=status, headers=headers, body=content)


def git(directory: Path, *args: str, stdin: bytes | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run git and give back its trimmed output. Blocking: not for a URL that this process serves."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", *args],
        cwd=directory,
        env={**ENVIRONMENT, **(environment or {})},
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"git {' '.join(args)}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="surrogateescape").strip()


async def run_git(directory: Path, *args: str, environment: Mapping[str, str] | None = None) -> str:
    """Like `git`, without blocking the event loop, so that this process may serve what it talks to."""
    return await asyncio.to_thread(git, directory, *args, environment=environment)


async def push(worktree: Path, url: str, *refspecs: str, user: str = "", password: str = "") -> None:
    """Push over HTTP; `refspecs` default to the current branch. Hooks of the repository run as they do anywhere."""
    if user:
        url = url.replace("://", f"://{user}:{password}@", 1)
    await run_git(worktree, "push", "--quiet", "--force", url, *(refspecs or ("HEAD",)))


def checkout(path: Path, *, branch: str = "main") -> Path:
    """A new empty repository with a working tree, to `commit` in and `push` from."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", f"--initial-branch={branch}")
    return path


def commit(worktree: Path, files: Mapping[str, str | bytes | None], message: str, *, author: str = "Ada") -> str:
    """Write `files` (`None` removes one), commit everything, and give back the sha."""
    for name, content in files.items():
        target = worktree / name
        if content is None:
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    git(worktree, "add", "--all")
    name = {"GIT_AUTHOR_NAME": author, "GIT_AUTHOR_EMAIL": f"{author.lower().replace(' ', '.')}@example.org"}
    git(worktree, "commit", "--quiet", "--allow-empty", "-m", message, environment=name)
    return git(worktree, "rev-parse", "HEAD")


def commit_to(
    bare: Path,
    files: Mapping[str, str | bytes | None],
    message: str,
    *,
    branch: str = "main",
    parents: Sequence[str] | None = None,
    when: int = 1_700_000_000,
) -> str:
    """Commit straight into a bare repository on top of `branch` (or of `parents`), and give back the sha.

    One `git fast-import`, so thousands of files are quick. `when` is in seconds since the epoch. No hook runs.
    """
    ref = f"refs/heads/{branch}"
    lines: list[bytes] = [f"commit {ref}\nmark :1\ncommitter Ada <ada@example.org> {when} +0000\n".encode()]
    lines.append(_blob(message.encode()))
    if parents is None:
        head = git(bare, "for-each-ref", "--format=%(objectname)", ref)
        parents = [head] if head else []
    lines += [f"{'merge' if index else 'from'} {parent}\n".encode() for index, parent in enumerate(parents)]
    for name, content in files.items():
        if content is None:
            lines.append(f"D {name}\n".encode())
        else:
            lines.append(f"M 100644 inline {name}\n".encode())
            lines.append(_blob(content.encode() if isinstance(content, str) else content))
    git(bare, "fast-import", "--quiet", "--force", stdin=b"".join(lines))
    return git(bare, "rev-parse", ref)


def _blob(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)
