"""A real Fossil server on loopback, with a folder of repositories and somebody who checks in and pushes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from pathlib import Path
from typing import Self

from needs import need

PASSWORD = "a-password-of-bob"


class FossilServer:
    """`create` a repository, `check_in` and `push` to it; `backoffice` does what the server does some seconds later."""

    def __init__(self, folder: Path) -> None:
        self.program = need("fossil")
        self.served, self.home = folder / "served", folder / "home"
        for one in (self.served, self.home):
            one.mkdir(parents=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "FOSSIL_HOME": str(self.home),
            "FOSSIL_USER": "bob",
            "USER": "bob",
            "LC_ALL": "C.UTF-8",
            "TMPDIR": str(self.home),
        }
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/{path}".rstrip("/")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    async def start(self) -> None:
        if not self.port:
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                self.port = listener.getsockname()[1]
        self.process = subprocess.Popen(
            [self.program, "server", str(self.served), "--port", str(self.port), "--localhost", "--repolist"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(500):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.02)
        raise AssertionError("fossil server does not listen")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def file(self, path: str) -> Path:
        return self.served / f"{path}.fossil"

    async def run(self, *arguments: str, cwd: Path | None = None, code: int | None = 0, **more: str) -> str:
        """`fossil ARGUMENTS`, and what it printed."""
        process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            cwd=cwd or self.home,
            env=self.environment | more,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        assert code is None or process.returncode == code, f"fossil {' '.join(arguments)}:\n{output.decode()}"
        return output.decode()

    async def create(self, path: str) -> Path:
        """A repository, and a checkout of a clone of it in which bob may work."""
        self.file(path).parent.mkdir(parents=True, exist_ok=True)
        await self.run("init", str(self.file(path)), "--admin-user", "root")
        await self.run("user", "new", "bob", "Bob", PASSWORD, "-R", str(self.file(path)))
        await self.run("user", "capabilities", "bob", "v", "-R", str(self.file(path)))
        work = self.home / path.replace("/", "-")
        work.mkdir()
        clone = f"{work}.fossil"
        await self.run("clone", "--once", "--admin-user", "bob", self.url(path), clone)
        await self.run("open", clone, cwd=work)
        return work

    async def check_in(self, work: Path, files: dict[str, str], message: str, *options: str) -> str:
        """A check-in on the checkout's branch, or with `--branch`; its hash."""
        for name, text in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(text)
        await self.run("addremove", cwd=work)
        output = await self.run("commit", "-m", message, "--no-warnings", "--no-prompt", *options, cwd=work)
        return output.rpartition("New_Version: ")[2].split()[0]

    async def push(self, work: Path, path: str) -> None:
        """As bob, over HTTP."""
        there = self.url(path).replace("http://", f"http://bob:{PASSWORD}@")
        await self.run("push", there, "--once", cwd=work)

    async def hook(self, path: str, script: Path, *arguments: str) -> None:
        """Install an after-receive hook, and let everything received so far count as told."""
        command = " ".join((str(script), *arguments))
        await self.run("hook", "add", "--type", "after-receive", "--command", command, "-R", str(self.file(path)))

    async def backoffice(self, path: str, **environment: str) -> str:
        """Run the hooks for what came since the last time."""
        return await self.run("backoffice", "--nolease", str(self.file(path)), **environment)
