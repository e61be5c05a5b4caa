"""A real `headgate serve` in a process of its own, and a GitHub whose repositories and pushes are real."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from git_server import GitServer
from warm import Forked, WarmParent

SECRET = "a webhook secret for tests"
PROGRAM = str(Path(sys.executable).with_name("headgate"))
START_WITHIN = 30.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class FakeGitHub(GitServer):
    """GitHub's statuses beside real repositories over smart HTTP. `statuses` is what was reported, in order."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.statuses: list[dict[str, Any]] = []
        self.broken = 0
        """How many status calls still fail with 502."""

    async def _respond(self, request: web.Request, body: bytes) -> web.Response:
        if "/statuses/" not in request.path:
            return await super()._respond(request, body)
        if self.broken:
            self.broken -= 1
            return web.json_response({"message": "bad gateway"}, status=502)
        self.statuses.append({"sha": request.path.rpartition("/")[2], **json.loads(body)})
        return web.json_response({}, status=201)

    def hook(self, name: str, headgate: str) -> None:
        """Install a hook that posts what GitHub posts for a push; the payload is ours, after GitHub's documentation."""
        hook = self.root / f"{name}.git" / "hooks" / "post-receive"
        hook.write_text(
            f"#!{sys.executable}\n"
            + textwrap.dedent(f"""
            import hashlib, hmac, json, sys, urllib.request, uuid
            for line in sys.stdin:
                before, after, ref = line.split()
                body = json.dumps({{
                    "ref": ref, "before": before, "after": after, "created": not before.strip("0"),
                    "deleted": not after.strip("0"), "forced": False, "base_ref": None, "commits": [],
                    "compare": "{self.url()}/compare", "head_commit": None,
                    "repository": {{
                        "id": 1, "name": "{name.rpartition("/")[2]}", "full_name": "{name}", "private": False,
                        "html_url": "{self.url()}/{name}", "default_branch": "main",
                    }},
                    "pusher": {{"name": "ada"}}, "sender": {{"login": "ada", "id": 7, "type": "User"}},
                }}).encode()
                request = urllib.request.Request("{headgate}", body, headers={{
                    "Content-Type": "application/json", "X-GitHub-Event": "push",
                    "X-GitHub-Delivery": str(uuid.uuid4()),
                    "X-Hub-Signature-256":
                        "sha256=" + hmac.new({SECRET!r}.encode(), body, hashlib.sha256).hexdigest(),
                }})
                print("delivered:", urllib.request.urlopen(request, timeout=10).status)
            """)
        )
        hook.chmod(0o755)


def github_push(
    repository: str, ref: str, before: str | None, after: str | None, *, paths: list[str] | None = None
) -> bytes:
    """A push as GitHub documents it, for tests that post without a repository; `paths`: of its one listed commit."""
    commit = {
        "id": after,
        "message": "A change",
        "timestamp": "2026-01-01T12:00:00Z",
        "url": f"https://github.com/{repository}/commit/{after}",
        "author": {"name": "Ada", "email": "ada@example.org"},
        "added": [],
        "removed": [],
        "modified": paths,
    }
    zero = "0" * 40
    return json.dumps(
        {
            "ref": ref,
            "before": before or zero,
            "after": after or zero,
            "created": before is None,
            "deleted": after is None,
            "forced": False,
            "compare": "https://github.com/compare",
            "commits": [commit] if paths else [],
            "head_commit": commit if paths else None,
            "repository": {
                "id": 1,
                "name": repository.rpartition("/")[2],
                "full_name": repository,
                "private": False,
                "html_url": f"https://github.com/{repository}",
                "default_branch": "main",
            },
            "pusher": {"name": "ada"},
            "sender": {"login": "ada", "id": 7, "type": "User"},
        }
    ).encode()


def github_headers(body: bytes, *, event: str = "push", delivery: str | None = None) -> dict[str, str]:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={signature}",
    }


class Headgate:
    """One server process over one folder; `start` and `stop` as often as a test likes."""

    def __init__(
        self,
        folder: Path,
        config: str,
        jobs: str,
        environment: dict[str, str] | None = None,
        *,
        program: tuple[str, ...] = (PROGRAM,),
        parent: WarmParent | None = None,
    ) -> None:
        """`parent`: who starts it, quickly and often; a process of its own without it."""
        self.program = program
        self._parent = parent
        self.folder = folder
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "jobs.d").mkdir(exist_ok=True)
        self.config = folder / "config.yaml"
        self.config.write_text(textwrap.dedent(config))
        self.jobs = folder / "jobs.d" / "jobs.yaml"
        self.jobs.write_text(textwrap.dedent(jobs))
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
            "HEADGATE_SECRET_HOOK": SECRET,
            **(environment or {}),
        }
        self.output = folder / "output.txt"
        self.process: subprocess.Popen[bytes] | Forked | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> float:
        """Start it and wait until it is ready; the seconds that took."""
        started = time.monotonic()
        self.process = self._spawn([*self.program, "--config", str(self.config), "serve", "--port", str(self.port)])
        async with aiohttp.ClientSession() as http:
            while time.monotonic() - started < START_WITHIN:
                if self.process.poll() is not None:
                    break
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.get(f"{self.url}/ready") as answer:
                        if answer.status == 200:
                            return time.monotonic() - started
                await asyncio.sleep(0.01)
        raise AssertionError(f"the server did not start:\n{self.output.read_text()[-4000:]}")

    def _spawn(self, argv: list[str]) -> subprocess.Popen[bytes] | Forked:
        if self._parent is not None:
            argv = argv[1:] if argv[0] == sys.executable else argv
            return self._parent.spawn(argv, cwd=self.folder, env=self.environment, output=self.output)
        with self.output.open("ab") as output:
            return subprocess.Popen(
                argv,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 30)

    async def kill(self) -> None:
        """SIGKILL: what a power cut leaves, as far as a process can show it."""
        assert self.process is not None
        self.process.kill()
        await asyncio.to_thread(self.process.wait, 30)

    def close(self) -> None:
        """Whatever happened, nothing of ours stays."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    async def command(self, *args: str, code: int | None = 0, stdin: bytes | None = None) -> str:
        """Run `headgate ARGS` as an admin on this machine would; what it printed."""
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            "--config",
            str(self.config),
            *args,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(stdin), 60)
        text = output.decode(errors="replace")
        if code is not None:
            assert process.returncode == code, f"headgate {' '.join(args)} → {process.returncode}:\n{text}"
        return text

    async def json(self, *args: str) -> Any:
        """What a command says with `--json`."""
        return json.loads(await self.command(*args, "--json"))

    async def builds(self) -> list[dict[str, Any]]:
        """All builds, oldest first."""
        return list(reversed(await self.json("builds", "--limit", "100000")))

    async def finished(self, count: int, *, within: float = 30.0) -> list[dict[str, Any]]:
        """All builds once `count` of them are finished."""
        deadline = time.monotonic() + within
        while True:
            found = await self.builds()
            if sum(build["state"] == "finished" for build in found) >= count:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"only {found}\n{self.output.read_text()[-4000:]}")
            await asyncio.sleep(0.05)
