"""A workspace is a whole repository of its own; what a build does to it reaches nothing else."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from git_server import ENVIRONMENT, commit_to
from git_server import git as run
from needs import need

from headgate import api
from headgate.git import repository, workspaces
from headgate.git.command import Git
from headgate.git.mirrors import Mirrors
from headgate.git.submodules import _resolve
from headgate.git.workspaces import make_workspace

WHOLE = api.Checkout()


@pytest.fixture
def make(mirrors, tmp_path):
    """Fetch and check out in one go, as a build does."""

    async def make(source, sha, *, ref="refs/heads/main", checkout=WHOLE, path=tmp_path / "ws"):
        mirror = await mirrors.fetch(source, sha=sha)
        await make_workspace(mirrors, mirror, path, sha=sha, ref=ref, checkout=checkout, source=source)
        return path

    return make


class App(NamedTuple):
    """A repository on the server."""

    bare: Path
    shas: list[str]
    source: api.CloneSource


@pytest.fixture
def app(server, source):
    """Five commits, a tag, two branches."""
    bare = server.create("app")
    shas = [
        commit_to(bare, {"a": f"{n}\n", f"src/f{n}.py": f"{n}\n"}, f"c{n}", when=1_700_000_000 + n) for n in range(5)
    ]
    run(bare, "tag", "-a", "v1", "-m", "v1", shas[3])
    commit_to(bare, {"b": "1\n"}, "other", branch="release/1", parents=[shas[0]])
    return App(bare, shas, source(server, "app"))


async def test_it_is_a_clean_checkout_on_the_branch(app, make):
    shas = app.shas
    path = await make(app.source, shas[-1])
    assert run(path, "status", "--porcelain", "--branch") == "## main...origin/main"
    assert run(path, "rev-parse", "HEAD") == shas[-1]
    assert run(path, "symbolic-ref", "--short", "HEAD") == "main"
    assert (path / "src/f4.py").read_text() == "4\n"
    assert run(path, "config", "remote.origin.url") == app.source.url


async def test_build_steps_find_the_git_they_know(app, make):
    shas = app.shas
    path = await make(app.source, shas[-1])
    assert run(path, "describe", "--tags").startswith("v1-1-g")
    assert run(path, "log", "--format=%s") == "c4\nc3\nc2\nc1\nc0"
    assert run(path, "diff", "--name-only", "HEAD~1") == "a\nsrc/f4.py"
    assert run(path, "branch", "--all", "--format=%(refname)").split() == [
        "refs/heads/main",
        "refs/remotes/origin/main",
        "refs/remotes/origin/release/1",
    ]
    run(path, "commit", "--quiet", "--allow-empty", "-m", "mine")
    run(path, "checkout", "--quiet", "release/1")
    run(path, "gc", "--quiet")
    run(path, "fsck", "--full", "--strict")
    assert (path / "b").exists()


async def test_an_older_commit_of_a_branch_is_checked_out_as_it_was(app, make):
    shas = app.shas
    path = await make(app.source, shas[1])
    assert run(path, "rev-parse", "HEAD", "origin/main").split() == [shas[1], shas[4]]
    assert not (path / "src/f4.py").exists()


@pytest.mark.parametrize("ref", [None, "refs/tags/v1", "refs/pull/7/head"])
async def test_without_a_branch_head_is_detached(app, make, ref):
    bare, shas = app.bare, app.shas
    tag = run(bare, "rev-parse", "refs/tags/v1")
    path = await make(app.source, tag if ref == "refs/tags/v1" else shas[3], ref=ref)
    assert run(path, "rev-parse", "HEAD") == shas[3]
    assert (path / ".git/HEAD").read_text() == f"{shas[3]}\n"
    assert run(path, "describe", "--tags") == "v1"


@pytest.mark.parametrize("depth", [1, 2, 4, 5, 50])
@pytest.mark.parametrize("limit", [0, workspaces.SHALLOW_COPY_LIMIT])
async def test_the_history_is_as_deep_as_gits_own_clone_makes_it(app, make, depth, limit, monkeypatch):
    """Both ways: cut by a list of ends, and really fetched where the mirror is large (limit 0)."""
    monkeypatch.setattr(workspaces, "SHALLOW_COPY_LIMIT", limit)
    bare, shas = app.bare, app.shas
    merge = commit_to(bare, {"m": "1\n"}, "merge", parents=[shas[4], run(bare, "rev-parse", "release/1")])
    path = await make(app.source, merge, checkout=api.Checkout(depth=depth))
    reference = app.bare.parent / "reference"
    run(app.bare, "clone", "--quiet", f"--depth={depth}", f"file://{bare}", str(reference))
    assert run(path, "rev-list", "--parents", "HEAD") == run(reference, "rev-list", "--parents", "HEAD")
    assert run(path, "status", "--porcelain", "--branch") == "## main...origin/main"
    run(path, "fsck")
    if limit == 0:
        names = run(path, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)").split()
        assert names.count("commit") == len(run(reference, "rev-list", "HEAD").split())


async def test_sparse_folders_are_those_of_git_sparse_checkout(server, source, make, tmp_path):
    bare = server.create("app")
    files = {"top": "", "a/x": "", "a/b/x": "", "a/b/c/x": "", "d/x": "", "d/e/x": ""}
    sha = commit_to(bare, files, "One")
    path = await make(source(server, "app"), sha, checkout=api.Checkout(sparse=("a/b", "d/e/")))
    run(tmp_path, "clone", "--quiet", "--no-checkout", str(bare), "reference")
    run(tmp_path / "reference", "sparse-checkout", "set", "--cone", "a/b", "d/e")
    run(tmp_path / "reference", "checkout", "--quiet")

    def tree(root):
        return sorted(str(f.relative_to(root)) for f in root.rglob("*") if f.is_file() and ".git" not in f.parts)

    assert tree(path) == tree(tmp_path / "reference") == ["a/b/c/x", "a/b/x", "a/x", "d/e/x", "d/x", "top"]
    assert run(path, "status", "--porcelain") == ""
    assert run(path, "sparse-checkout", "list").split() == ["a/b", "d/e"]


@pytest.mark.parametrize("folder", ["", "/", "..", "a/../b", "*.py", "!a", "#a", "a\nb", "a\\b", "[a]"])
async def test_what_is_no_folder_is_refused_as_sparse(app, make, folder):
    with pytest.raises(api.Refused, match="sparse"):
        await make(app.source, app.shas[0], checkout=api.Checkout(sparse=(folder,)))


class TestCleanAndKept:
    """With `clean` nothing is left of the last build; without it, what git does not know stays."""

    async def test_clean_removes_everything(self, app, make):
        path = await make(app.source, app.shas[0])
        (path / "left").mkdir()
        (path / "left/over").write_text("x")
        (path / "left").chmod(0o500)
        await make(app.source, app.shas[1])
        assert not (path / "left").exists()
        assert run(path, "status", "--porcelain") == ""

    async def test_kept_leaves_untracked_files_and_the_times_of_unchanged_ones(self, app, make):
        keep = api.Checkout(clean=False)
        path = await make(app.source, app.shas[1], checkout=keep)
        (path / "built.o").write_text("x")
        os.utime(path / "src/f1.py", (1000, 1000))
        os.utime(path / "a", (1000, 1000))
        (path / "src/f0.py").write_text("changed by the build\n")
        await make(app.source, app.shas[2], checkout=keep)
        assert (path / "built.o").exists()
        assert (path / "src/f1.py").stat().st_mtime == 1000
        assert (path / "a").read_text() == "2\n"
        assert (path / "src/f0.py").read_text() == "0\n"
        assert run(path, "status", "--porcelain") == "?? built.o"
        await make(app.source, app.shas[0], checkout=keep)
        assert not (path / "src/f1.py").exists(), "it is not in the older commit"
        assert run(path, "status", "--porcelain") == "?? built.o"

    async def test_a_git_folder_that_a_build_left_is_never_used(self, app, make, tmp_path):
        """It may name programs to run. The negative control: git in that folder does run it."""
        keep = api.Checkout(clean=False)
        path = await make(app.source, app.shas[1], checkout=keep)
        mark = tmp_path / "mark"
        (path / ".gitattributes").write_text("* filter=evil\n")
        (path / ".git/info/attributes").write_text("* filter=evil\n")
        run(path, "config", "filter.evil.smudge", f"touch {mark}; cat")
        run(path, "config", "filter.evil.clean", f"touch {mark}; cat")
        evil = path.parent / "evil"
        shutil.copytree(path, evil, symlinks=True)
        await make(app.source, app.shas[2], checkout=keep)
        assert not mark.exists()
        run(evil, "checkout", "--quiet", "--force", app.shas[2])
        assert mark.exists()

    @pytest.mark.parametrize("kind", ["symlink", "file", "fifo", "mark is a symlink"])
    async def test_whatever_lies_at_the_place_of_git_is_replaced(self, app, make, tmp_path, kind):
        keep = api.Checkout(clean=False)
        path = await make(app.source, app.shas[1], checkout=keep)
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "headgate-sha").write_text(app.shas[0])
        if kind == "mark is a symlink":
            (path / ".git/headgate-sha").unlink()
            (path / ".git/headgate-sha").symlink_to("/etc/passwd")
        else:
            shutil.rmtree(path / ".git")
            if kind == "symlink":
                (path / ".git").symlink_to(outside)
            elif kind == "file":
                (path / ".git").write_text(f"gitdir: {outside}\n")
            else:
                os.mkfifo(path / ".git")
        await make(app.source, app.shas[2], checkout=keep)
        assert (path / ".git").is_dir()
        assert not (path / ".git").is_symlink()
        assert run(path, "rev-parse", "HEAD") == app.shas[2]
        assert list(outside.iterdir()) == [outside / "headgate-sha"]

    async def test_a_symlink_that_a_build_left_leads_no_write_outside(self, app, make, tmp_path):
        keep = api.Checkout(clean=False)
        path = await make(app.source, app.shas[1], checkout=keep)
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "f0.py").write_text("precious\n")
        shutil.rmtree(path / "src")
        (path / "src").symlink_to(outside)
        await make(app.source, app.shas[2], checkout=keep)
        assert (outside / "f0.py").read_text() == "precious\n"
        assert sorted(file.name for file in outside.iterdir()) == ["f0.py"]
        assert not (path / "src").is_symlink()


class TestOnItsOwn:
    """A build may write everywhere in its workspace and reaches no other."""

    async def test_it_works_where_only_the_workspace_can_be_seen(self, app, make):
        bubblewrap = need("bwrap")
        path = await make(app.source, app.shas[-1])
        system = [word for name in ("/usr", "/bin", "/lib", "/lib64", "/etc") for word in ("--ro-bind-try", name, name)]
        done = subprocess.run(
            [bubblewrap, *system, "--dev", "/dev", "--proc", "/proc", "--bind", path, "/ws", "--chdir", "/ws",
             "--unshare-pid", "sh", "-c", "git log --format=%s && git fsck && git describe --tags"],
            env={**ENVIRONMENT, "HOME": "/ws"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("c4\n")

    async def test_what_a_build_writes_into_its_packs_reaches_no_mirror(self, app, make, tmp_path):
        path = await make(app.source, app.shas[-1])
        self.spoil(path)
        again = await make(app.source, app.shas[-1], path=tmp_path / "again")
        run(again, "fsck", "--full")

    async def test_with_hard_links_it_would(self, app, make, tmp_path, monkeypatch):
        """The negative control of the test above, and why packs are copied."""
        monkeypatch.setattr(repository, "_copy", lambda source, target: target.hardlink_to(source))
        path = await make(app.source, app.shas[-1])
        self.spoil(path)
        with pytest.raises((AssertionError, api.ProviderError)):
            run(await make(app.source, app.shas[-1], path=tmp_path / "again"), "fsck", "--full")

    @staticmethod
    def spoil(path, git=".git"):
        for pack in (path / git / "objects/pack").glob("*.pack"):
            pack.chmod(0o600)
            content = bytearray(pack.read_bytes())
            content[len(content) // 2] ^= 0xFF
            with pack.open("r+b") as file:
                file.write(content)

    async def test_copying_works_across_devices(self, app, make, monkeypatch):
        def refuse(*_):
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "copy_file_range", refuse)
        path = await make(app.source, app.shas[-1])
        run(path, "fsck", "--full")

    async def test_a_repack_during_the_copy_is_survived(self, app, make, monkeypatch):
        copy, lost = repository._copy, []

        def once(source, target):
            if not lost:
                lost.append(source)
                raise FileNotFoundError
            copy(source, target)

        monkeypatch.setattr(repository, "_copy", once)
        path = await make(app.source, app.shas[-1])
        assert lost
        run(path, "fsck", "--full")


class TestWhatCannotBe:
    """Each refusal says who must act."""

    async def test_a_missing_commit_is_not_found(self, app, mirrors, tmp_path):
        mirror = await mirrors.fetch(app.source)
        with pytest.raises(api.NotFound, match="b" * 40):
            await make_workspace(
                mirrors, mirror, tmp_path / "ws", sha="b" * 40, ref=None, checkout=WHOLE, source=app.source
            )

    @pytest.mark.parametrize("damage", ["flipped byte", "cut pack"])
    async def test_a_broken_mirror_is_made_anew(self, app, mirrors, tmp_path, damage):
        """It still says it has the commit, so only the checkout finds out."""
        sha = commit_to(app.bare, {"big": os.urandom(50_000)}, "Big")
        mirror = await mirrors.fetch(app.source, sha=sha)
        if damage == "flipped byte":
            TestOnItsOwn.spoil(mirror.path, ".")
        else:
            pack = next((mirror.path / "objects/pack").glob("*.pack"))
            pack.chmod(0o600)
            os.truncate(pack, 10)
        arguments = {"sha": sha, "ref": None, "checkout": WHOLE, "source": app.source}
        await make_workspace(mirrors, mirror, tmp_path / "ws", **arguments)
        run(tmp_path / "ws", "fsck", "--full")
        run(mirror.path, "fsck", "--full")

    async def test_lfs_is_refused_in_plain_words(self, app, make):
        with pytest.raises(api.Refused, match="LFS"):
            await make(app.source, app.shas[0], checkout=api.Checkout(lfs=True))

    async def test_a_branch_name_with_quotes_stays_a_name(self, server, source, make):
        bare = server.create("app")
        name = 'a"]b;c#d'
        sha = commit_to(bare, {"a": "1\n"}, "One", branch="x")
        run(bare, "update-ref", f"refs/heads/{name.replace(']', '')}", sha)
        name = name.replace("]", "")
        path = await make(source(server, "app"), sha, ref=f"refs/heads/{name}")
        assert run(path, "symbolic-ref", "--short", "HEAD") == name
        assert run(path, "rev-parse", "--abbrev-ref", "HEAD@{upstream}") == f"origin/{name}"


async def test_a_sha256_repository_is_checked_out(server, source, make):
    sha = commit_to(server.create("app", object_format="sha256"), {"a": "1\n"}, "One")
    path = await make(source(server, "app"), sha)
    assert run(path, "rev-parse", "HEAD") == sha
    assert run(path, "status", "--porcelain") == ""


class TestSubmodules:
    """Each from a mirror of its own; git itself never recurses."""

    @staticmethod
    def add(bare, path, sha, url, *, branch="main"):
        """A commit with a submodule, made without git's own submodule command."""
        environment = {"GIT_INDEX_FILE": str(bare / "index.tmp")}
        text = f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n'.encode()
        modules = run(bare, "hash-object", "-w", "--stdin", stdin=text)
        if run(bare, "for-each-ref", f"refs/heads/{branch}"):
            run(bare, "read-tree", f"refs/heads/{branch}", environment=environment)
        else:
            run(bare, "read-tree", "--empty", environment=environment)
        run(bare, "update-index", "--add", "--cacheinfo", f"100644,{modules},.gitmodules", environment=environment)
        run(bare, "update-index", "--add", "--cacheinfo", f"160000,{sha},{path}", environment=environment)
        tree = run(bare, "write-tree", environment=environment)
        commit = run(bare, "commit-tree", tree, "-m", "with a submodule")
        run(bare, "update-ref", f"refs/heads/{branch}", commit)
        return commit

    async def test_nested_submodules_are_filled(self, private_server, source, make, credential):
        inner = commit_to(private_server.create("inner"), {"i": "1\n"}, "Inner")
        outer = self.add(private_server.create("outer"), "deep/inner", inner, "../inner.git")
        sha = self.add(private_server.create("app"), "lib", outer, private_server.url("outer"))
        path = await make(source(private_server, "app", credential), sha, checkout=api.Checkout(submodules=True))
        assert (path / "lib/deep/inner/i").read_text() == "1\n"
        assert run(path, "status", "--porcelain") == ""
        assert run(path, "submodule", "foreach", "--quiet", "--recursive", "echo $displaypath").split() == [
            "lib",
            "lib/deep/inner",
        ]

    async def test_they_are_off_unless_the_job_asks(self, server, source, make):
        inner = commit_to(server.create("inner"), {"i": "1\n"}, "Inner")
        sha = self.add(server.create("app"), "lib", inner, "../inner.git")
        path = await make(source(server, "app"), sha)
        assert list((path / "lib").iterdir()) == []

    @pytest.mark.parametrize(
        "url",
        [
            "ext::sh -c id",
            "file:///etc",
            "/etc",
            "-oProxyCommand=x:y",
            "--upload-pack=x",
            "http://169.254.169.254/latest",
            "https://127.0.0.1/x",
            "ssh://git@example.org/x",
            "https://user:password@example.org/x",
            "../../../../../x",
            "../../x\\n",
        ],
    )
    async def test_a_hostile_url_is_not_followed(self, server, source, make, url):
        sha = self.add(server.create("app"), "lib", "a" * 40, url)
        before = len(server.requests)
        with pytest.raises((api.Refused, api.NotFound)):
            await make(source(server, "app"), sha, checkout=api.Checkout(submodules=True))
        asked = [request.path for request in server.requests[before:]]
        assert all(path.startswith("/app.git/") for path in asked)

    async def test_the_credential_stays_with_its_host(self, private_server, make, source, credential, tmp_path):
        """Elsewhere a submodule is fetched without one, and over https only."""
        sha = self.add(private_server.create("app"), "lib", "a" * 40, "http://localhost:1/lib.git")
        with pytest.raises(api.Refused, match="another host"):
            await make(source(private_server, "app", credential), sha, checkout=api.Checkout(submodules=True))

    async def test_one_without_a_url_is_named(self, server, source, make):
        bare = server.create("app")
        self.add(bare, "lib", "a" * 40, "../x.git")
        sha = commit_to(bare, {".gitmodules": ""}, "no url")
        with pytest.raises(api.NotFound, match="lib"):
            await make(source(server, "app"), sha, checkout=api.Checkout(submodules=True))

    async def test_a_cycle_ends(self, server, source, make):
        bare = server.create("app")
        sha = commit_to(bare, {"a": "1\n"}, "One")
        for _ in range(8):
            sha = self.add(bare, "again", sha, server.url("app"))
        with pytest.raises(api.Refused, match="nest deeper"):
            await make(source(server, "app"), sha, checkout=api.Checkout(submodules=True))

    def test_relative_urls_resolve_as_gits_do(self):
        assert _resolve("https://example.org/a/b.git", "../c.git") == "https://example.org/a/c.git"
        assert _resolve("https://example.org/a/b.git/", "./c") == "https://example.org/a/b.git/c"
        assert _resolve("git@example.org:a/b.git", "../c") == "git@example.org:a/c"
        assert _resolve("/srv/a/b", "../../c") == "/srv/c"
        with pytest.raises(api.Refused):
            _resolve("https://example.org/b.git", "../../evil/x")


async def test_many_workspaces_at_once(app, server, make, tmp_path):
    paths = await asyncio.gather(*(make(app.source, app.shas[n % 5], path=tmp_path / f"ws{n}") for n in range(10)))
    for n, path in enumerate(paths):
        assert run(path, "rev-parse", "HEAD") == app.shas[n % 5]
        assert run(path, "status", "--porcelain") == ""
    assert server.count("advertise") <= 5


def test_the_room_is_usable_without_git_installed(tmp_path):
    Mirrors(Git(timeout=1, max_repository_size=1, home=tmp_path / "home"), tmp_path / "mirrors")
