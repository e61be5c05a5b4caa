"""The runner: what git sees, what it may reach, how it ends, and where a secret never stands."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from pathlib import Path

import pytest
from git_server import GitServer, checkout, commit, commit_to
from git_server import git as run
from hostile_git import HOSTILE_REFS, HOSTILE_URLS

from headgate import api
from headgate.git import command
from headgate.git.command import Git, Growth
from headgate.git.mirrors import Mirrors
from headgate.git.names import Location
from headgate.git.refs import list_refs


@pytest.fixture
def fake_git(tmp_path, monkeypatch):
    """A runner whose `git` is a shell script of the test's."""

    def make(script: str, *, timeout: float = 30) -> Git:
        folder = tmp_path / "fake"
        folder.mkdir(exist_ok=True)
        (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return Git(timeout=timeout, max_repository_size=1000, home=tmp_path / "home")

    return make


async def until(condition, *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Running, not merely waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class TestBeforeAProcessStarts:
    """Hostile URLs and refs never get as far as a process."""

    async def test_a_hostile_url_starts_nothing(self, fake_git, tmp_path):
        mark = tmp_path / "started"
        git = fake_git(f"touch {mark}")
        mirrors = Mirrors(git, tmp_path / "mirrors")
        for url in HOSTILE_URLS:
            source = api.CloneSource(url=url)
            with pytest.raises(api.Refused):
                await git.run(["ls-remote", "--", url], source=source)
            with pytest.raises(api.Refused):
                await list_refs(git, source, ["refs/heads/"])
            with pytest.raises(api.Refused):
                await mirrors.fetch(source)
        assert not mark.exists()

    async def test_a_hostile_ref_starts_nothing(self, fake_git, tmp_path):
        mark = tmp_path / "started"
        git = fake_git(f"touch {mark}")
        mirrors = Mirrors(git, tmp_path / "mirrors")
        source = api.CloneSource(url="https://example.org/app")
        for ref in HOSTILE_REFS:
            with pytest.raises(api.Refused):
                await mirrors.fetch(source, refs=[ref])
            with pytest.raises(api.Refused):
                await mirrors.fetch(source, change_ref=ref)
        with pytest.raises(api.Refused):
            await mirrors.fetch(source, sha="--all")
        assert not mark.exists()

    async def test_with_the_check_switched_off_the_process_starts(self, fake_git, tmp_path, monkeypatch):
        mark = tmp_path / "started"
        git = fake_git(f"touch {mark}")
        url = "ext::sh -c id"
        monkeypatch.setattr(command, "check_url", lambda url, **_: Location(scheme="https", url=url, path=""))
        await git.run(["ls-remote", "--", url], source=api.CloneSource(url=url))
        assert mark.exists()

    async def test_even_unchecked_the_protocol_is_not_allowed(self, git, tmp_path, monkeypatch):
        """The second wall: git itself is told which protocol it may use; without that, the attack appears."""
        mark = tmp_path / "mark"
        attack = ["ls-remote", "--", f"ext::sh -c touch% {mark}"]
        with pytest.raises(api.Refused, match="not allowed"):
            await git.run(attack)
        assert not mark.exists()
        monkeypatch.setattr(command, "_SETTINGS", ("protocol.allow=always",))
        monkeypatch.setattr(git, "_environment", lambda *_: {"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
        with pytest.raises(api.ProviderError):
            await git.run(attack)
        assert mark.exists()


class TestCredentialBinding:
    """A credential travels to its hosts by its kind of transport, or nothing starts."""

    @pytest.fixture
    def started(self, tmp_path):
        return tmp_path / "started"

    @pytest.mark.parametrize(
        "case",
        [
            ("https://evil.example/app", "token", ("example.org",), "bound to example.org"),
            ("https://example.org/app", "token", (), "bound to no host"),
            ("https://example.org.evil.example/app", "token", ("*.example.org",), "bound to"),
            ("https://badexample.org/app", "token", ("*.example.org",), "bound to"),
            ("http://example.org/app", "token", ("*",), "clear text"),
            ("https://example.org/app", "ssh_key", ("*",), "takes a token or user_password"),
            ("https://example.org/app", "text", ("*",), "takes a token or user_password"),
            ("ssh://git@example.org/app", "token", ("*",), "takes a ssh_key"),
            ("ssh://git@example.org/app", None, (), "needs an ssh_key"),
        ],
    )
    async def test_elsewhere_it_does_not_go(self, fake_git, tmp_path, case):
        url, type_, hosts, message = case
        started = tmp_path / "started"
        git = fake_git(f"touch {started}")
        credential = None
        if type_ is not None:
            credential = api.Credential(
                type=type_, fields={name: api.Secret("x") for name in api.FIELDS[type_]}, hosts=hosts
            )
        with pytest.raises(api.CredentialError, match=message):
            await git.run(["ls-remote", "--", url], source=api.CloneSource(url=url, credential=credential))
        assert not started.exists()

    @pytest.mark.parametrize("hosts", [("git.example.org",), ("*.example.org",), ("GIT.example.org",), ("*",)])
    async def test_where_it_is_bound_it_goes(self, fake_git, started, hosts):
        git = fake_git(f"touch {started}")
        url = "https://git.example.org/app"
        credential = api.Credential(type="token", fields={"token": api.Secret("x")}, hosts=hosts)
        await git.run(["ls-remote", "--", url], source=api.CloneSource(url=url, credential=credential))
        assert started.exists()

    async def test_a_password_with_a_line_break_cannot_smuggle_a_host(self, fake_git, started):
        git = fake_git(f"touch {started}")
        url = "https://example.org/app"
        credential = api.Credential(type="token", fields={"token": api.Secret("x\nhost=evil")}, hosts=("*",))
        with pytest.raises(api.CredentialError, match="line break"):
            await git.run(["ls-remote", "--", url], source=api.CloneSource(url=url, credential=credential))
        assert not started.exists()


class TestWhatGitSees:
    """Nothing of the server's environment and configuration but PATH."""

    async def test_the_environment_is_ours_alone(self, fake_git, monkeypatch):
        git = fake_git("env")
        monkeypatch.setenv("GIT_SSH_COMMAND", "evil")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
        monkeypatch.setenv("LD_PRELOAD", "")
        names = {line.partition("=")[0] for line in (await git.run(["x"])).text.splitlines()}
        assert names - {"PWD", "_", "SHLVL", "OLDPWD"} == {
            "GIT_ALLOW_PROTOCOL",
            "GIT_ATTR_NOSYSTEM",
            "GIT_CONFIG_GLOBAL",
            "GIT_CONFIG_NOSYSTEM",
            "GIT_DEFAULT_REF_FORMAT",
            "GIT_NO_LAZY_FETCH",
            "GIT_OPTIONAL_LOCKS",
            "GIT_PROTOCOL_FROM_USER",
            "GIT_TERMINAL_PROMPT",
            "HOME",
            "LANG",
            "LC_ALL",
            "PATH",
            "XDG_CONFIG_HOME",
        }

    async def test_home_is_private_and_empty(self, git, tmp_path):
        assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
        origins = (await git.run(["config", "--list", "--show-origin"])).text.splitlines()
        assert origins
        assert all(line.startswith("command line:") for line in origins)

    @pytest.mark.parametrize("kind", ["hook", "fsmonitor"])
    async def test_a_repository_cannot_run_programs(self, git, tmp_path, monkeypatch, kind):
        """Then the same without our settings: the program runs."""
        work = checkout(tmp_path / "work")
        commit(work, {"a": "1\n"}, "One")
        mark = tmp_path / "mark"
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\ntouch {mark}\n")
        program.chmod(0o755)
        if kind == "hook":
            (work / ".git/hooks").mkdir(exist_ok=True)
            program.rename(work / ".git/hooks/post-checkout")
            action = ["checkout", "--quiet", "--detach"]
        else:
            run(work, "config", "core.fsmonitor", str(program))
            action = ["status"]
        await git.run(action, directory=work)
        assert not mark.exists()
        monkeypatch.setattr(command, "_SETTINGS", ())
        await git.run(action, directory=work)
        assert mark.exists()


class TestHowItEnds:
    """Deadline, cancellation and budgets end the whole group."""

    SCRIPT = 'trap "" TERM; sleep 60 & echo $! > "$(dirname "$0")/child"; echo $$ > "$(dirname "$0")/self"; wait'

    async def pids(self, tmp_path) -> list[int]:
        await until(lambda: (tmp_path / "fake/self").exists() and (tmp_path / "fake/self").read_text().strip())
        return [int((tmp_path / "fake" / name).read_text()) for name in ("self", "child")]

    async def test_past_its_deadline_the_whole_group_is_killed(self, fake_git, tmp_path):
        git = fake_git(self.SCRIPT, timeout=0.5)
        with pytest.raises(api.Unavailable, match="time limit"):
            await git.run(["x"])
        for pid in await self.pids(tmp_path):
            await until(lambda pid=pid: not alive(pid))

    async def test_cancelling_kills_the_whole_group(self, fake_git, tmp_path):
        git = fake_git(self.SCRIPT)
        task = asyncio.create_task(git.run(["x"]))
        pids = await self.pids(tmp_path)
        assert all(alive(pid) for pid in pids)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for pid in pids:
            await until(lambda pid=pid: not alive(pid))

    async def test_killing_only_the_leader_would_leave_the_child(self, fake_git, tmp_path, monkeypatch):
        """The negative control of the two above."""
        monkeypatch.setattr(os, "killpg", os.kill)
        git = fake_git(self.SCRIPT)
        task = asyncio.create_task(git.run(["x"]))
        _, child = await self.pids(tmp_path)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert alive(child)
        os.kill(child, 9)

    async def test_too_much_output_ends_it(self, fake_git):
        git = fake_git("yes")
        with pytest.raises(api.ProviderError, match="larger than 100000 bytes"):
            await git.run(["x"], max_output=100_000)

    async def test_a_folder_that_grows_too_far_ends_it(self, fake_git, tmp_path):
        folder = tmp_path / "pack"
        folder.mkdir()
        git = fake_git(f"while :; do echo 0123456789 >> {folder}/tmp_pack; done")
        with pytest.raises(api.ProviderError, match="max_repository_size"):
            await git.run(["x"], growth=Growth(folder=folder, limit=5000))

    async def test_a_long_complaint_is_kept_short(self, fake_git):
        git = fake_git("yes complaint | head -c 1000000 >&2; echo 'fatal: it broke' >&2; exit 1")
        with pytest.raises(api.ProviderError) as caught:
            await git.run(["x"])
        assert str(caught.value) == "git x: fatal: it broke"

    async def test_without_git_the_message_says_so(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        git = Git(timeout=1, max_repository_size=1, home=tmp_path / "home")
        with pytest.raises(api.ProviderError, match="not installed"):
            await git.run(["version"])


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("fatal: Authentication failed for 'https://example.org/app/'", api.Refused),
        ("fatal: could not read Username for 'https://x': terminal prompts disabled", api.Refused),
        ("git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.", api.Refused),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", api.Refused),
        ("fatal: unable to access 'https://h/': The requested URL returned error: 403", api.Refused),
        ("fatal: unable to access 'https://h/': The requested URL returned error: 302", api.Refused),
        ("remote: Repository not found.\nfatal: repository 'https://h/x/' not found", api.NotFound),
        ("fatal: couldn't find remote ref refs/heads/ssl", api.NotFound),
        ("fatal: '/x' does not appear to be a git repository", api.NotFound),
        ("fatal: unable to access 'https://h/redirect/': Could not resolve host: h", api.Unavailable),
        ("fatal: unable to access 'https://h/': The requested URL returned error: 503", api.Unavailable),
        ("fatal: unable to access 'https://h/': The requested URL returned error: 429", api.RateLimited),
        ("error: object file ./objects/aa/bb is empty", command.failure("", "bad object x").__class__),
        ("remote: error: bad object\nfatal: something new", api.ProviderError),
    ],
)
def test_gits_words_become_the_error_for_whoever_must_act(words, kind):
    assert type(command.failure("git fetch", words)) is kind


TOKEN = "t0ken-of-bot/+&"
FORMS = (TOKEN, "t0ken-of-bot", base64.b64encode(f"bot:{TOKEN}".encode()).decode())


def processes_showing(*texts: str) -> list[str]:
    """Which files of any process of ours show one of `texts`: command lines and environments."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        for name in ("cmdline", "environ"):
            try:
                content = (folder / name).read_bytes()
            except OSError:
                continue
            found += [f"{folder}/{name}: {text}" for text in texts if text.encode() in content]
    return found


def files_showing(folder: Path, *texts: str) -> list[str]:
    return [
        str(file)
        for file in folder.rglob("*")
        if file.is_file() and any(text.encode() in file.read_bytes() for text in texts)
    ]


class TestSecretsStayInside:
    """While git waits for the answer to a signed request, its token is on the wire and nowhere else."""

    async def test_a_token_is_in_no_command_line_environment_or_file(
        self, private_server, mirrors, source, credential, tmp_path
    ):
        commit_to(private_server.create("app"), {"a": "1\n"}, "One")
        private_server.waits = lambda request: "Authorization" in request.headers
        private_server.gate.clear()
        task = asyncio.create_task(mirrors.fetch(source(private_server, "app", credential)))
        await asyncio.wait_for(private_server.arrived.wait(), 20)
        assert processes_showing("git-remote-http"), "git is waiting right now"
        assert processes_showing(*FORMS) == []
        assert files_showing(tmp_path / "home", *FORMS) == []
        assert files_showing(tmp_path / "mirrors", *FORMS) == []
        private_server.gate.set()
        mirror = await task
        assert files_showing(mirror.path, *FORMS) == []

    async def test_the_search_finds_a_token_that_is_there(self, tmp_path):
        """The negative control: in argv, in the environment and in a file it is found."""
        for command_line, environment in ((["sleep", "60", TOKEN], {}), (["sleep", "60"], {"X": TOKEN})):
            process = await asyncio.create_subprocess_exec(
                "python3", "-c", "import time; time.sleep(60)", *command_line[2:], env={**os.environ, **environment}
            )
            try:
                await until(lambda: processes_showing(TOKEN))
            finally:
                process.kill()
                await process.wait()
        (tmp_path / "config").write_text(f"url = https://x:{TOKEN}@example.org")
        assert files_showing(tmp_path, TOKEN)

    async def test_a_refused_token_is_in_no_message(self, private_server, mirrors, source):
        private_server.create("app")
        wrong = api.Credential(type="token", fields={"token": api.Secret("wr0ng-t0ken")}, hosts=("127.0.0.1",))
        with pytest.raises(api.Refused) as caught:
            await mirrors.fetch(source(private_server, "app", wrong))
        assert "wr0ng" not in str(caught.value)
        assert private_server.count("advertise", status=401) == 2

    async def test_what_a_server_repeats_is_masked(self, fake_git, credential):
        git = fake_git(
            f"echo 'remote: no {FORMS[0]} {FORMS[2]} t0ken-of-bot%2F%2B%26' >&2; echo 'fatal: no' >&2; exit 1"
        )
        url = "https://127.0.0.1/app"
        with pytest.raises(api.ProviderError) as caught:
            await git.run(["fetch", "--", url], source=api.CloneSource(url=url, credential=credential))
        assert "remote: no *** *** ***" in str(caught.value)

    async def test_a_redirect_takes_the_token_nowhere(self, private_server, mirrors, source, credential, monkeypatch):
        """Then with redirects allowed: the other server is asked."""
        private_server.create("app")
        async with GitServer(private_server.root.parent / "elsewhere", users={"bot": TOKEN}) as elsewhere:
            commit_to(elsewhere.create("app"), {"a": "1\n"}, "One")
            private_server.redirect = f"{elsewhere.url('app')}/info/refs?service=git-upload-pack"
            with pytest.raises(api.Refused, match="redirects"):
                await mirrors.fetch(source(private_server, "app", credential))
            assert elsewhere.requests == []
            lax = tuple(text for text in command._SETTINGS if not text.startswith("http.followRedirects"))
            monkeypatch.setattr(command, "_SETTINGS", (*lax, "http.followRedirects=true"))
            with pytest.raises(api.ProviderError):  # even then our helper gives nothing to another origin
                await mirrors.fetch(source(private_server, "app", credential))
            assert elsewhere.count("advertise", status=401) >= 1
            assert elsewhere.count("advertise", status=200) == 0

    async def test_keys_of_a_process_that_died_are_removed_at_start(self, tmp_path):
        keys = tmp_path / "home/keys"
        for owner in ("999999999-abc", f"{os.getpid()}-abc"):
            (keys / owner).mkdir(parents=True)
            (keys / owner / "key").write_text("secret")
        Git(timeout=1, max_repository_size=1, home=tmp_path / "home")
        assert [place.name for place in keys.iterdir()] == [f"{os.getpid()}-abc"]
