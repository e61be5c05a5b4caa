"""The command line as a process, and a server that says what a test wants it to say."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn

import pytest


@pytest.fixture
def headgate(tmp_path):
    """Run `headgate …` as a process of its own in an empty folder."""

    def run(*arguments, cwd=tmp_path, stdin="", **environment):
        return subprocess.run(
            [sys.executable, "-c", "from headgate.cli import main; main()", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


class Scripted:
    """Answers by path, and a record of what was asked. Real HTTP on a real socket; only the content is made up."""

    def __init__(self):
        self.answers = {}
        self.asked = []

    def json(self, method, path, content, status=200, **headers):
        kind = "application/json" if status < 400 else "application/problem+json"
        self.answers[method, path] = (status, {"Content-Type": kind, **headers}, json.dumps(content).encode())

    def text(self, path, text, kind="text/plain"):
        self.answers["GET", path] = (200, {"Content-Type": kind}, text.encode())


class _LocalServer(ThreadingMixIn, HTTPServer):
    address_family = socket.AF_UNIX
    daemon_threads = True

    def server_bind(self):
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "local", 0


class _Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True


@pytest.fixture(params=["socket", "url"])
def scripted(request, tmp_path):
    """A server to ask, over the local socket and over TCP; `call` are the arguments that name it."""
    script = Scripted()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            script.asked.append((self.command, self.path, dict(self.headers), body))
            path = self.path if (self.command, self.path) in script.answers else self.path.partition("?")[0]
            missing = (404, {}, json.dumps({"detail": f"nothing is at {self.path}"}).encode())
            status, headers, content = script.answers.get((self.command, path), missing)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name http.server looks for

        def log_message(self, *_):
            pass

        def address_string(self):
            return "local"

    (tmp_path / "data").mkdir()
    (tmp_path / "config.yaml").write_text("data: data\n")
    if request.param == "socket":
        server = _LocalServer(str(tmp_path / "data/headgate.sock"), Answer)
        script.call = ["--config", str(tmp_path / "config.yaml")]
    else:
        server = _Server(("127.0.0.1", 0), Answer)
        script.call = ["--url", f"http://127.0.0.1:{server.server_port}"]
    script.over = request.param
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    server.shutdown()
    thread.join()
    server.server_close()
