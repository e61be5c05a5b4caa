"""Isolation: an isolated step sees neither the server's places nor other builds, and writes only to its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate import api
from headgate.builds.sandbox import Sandbox, bubblewrap, detect, interpreter_prefix, private_paths

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": "/tmp"}


@pytest.fixture
def server():
    """A server's places: data with a key, a configuration, two builds' folders. Not below /tmp, which is private."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="headgate-test-") as name:
        yield furnish(Path(name))


def furnish(tmp_path):
    data = tmp_path / "data"
    for build in ("b_1", "b_2"):
        for name in ("work", "home", "tmp"):
            (data / "workspaces" / build / name).mkdir(parents=True)
    (data / "key").write_text("the key")
    (data / "workspaces" / "b_2" / "work" / "secret").write_text("another build's")
    (tmp_path / "config.yaml").write_text("the configuration")
    return tmp_path


@pytest.fixture
async def sandbox(processes, server):
    found = await detect(processes, hidden=[server / "data", server / "config.yaml"], environment=ENVIRONMENT)
    if found.program is None:
        pytest.skip(found.problem)
    return found


async def inside(processes, sandbox, server, script, *, readable=()):
    own = server / "data" / "workspaces" / "b_1"
    said = bytearray()
    argv = sandbox.wrap(["/bin/sh", "-c", script], own=own, directory=own / "work", readable=readable)
    code = await processes.run(argv, environment=ENVIRONMENT, directory=own, output=said.extend, wrapped=True)
    return code, said.decode()


async def outside(processes, server, script):
    said = bytearray()
    own = server / "data" / "workspaces" / "b_1"
    code = await processes.run(
        ["/bin/sh", "-c", script], environment=ENVIRONMENT, directory=own / "work", output=said.extend
    )
    return code, said.decode()


ATTACKS = {
    "read the server's key": "cat {server}/data/key",
    "read the configuration": "cat {server}/config.yaml",
    "read another build": "cat {server}/data/workspaces/b_2/work/secret",
    "write beside its own folder": "touch {server}/data/workspaces/x",
    "see another's process": "kill -0 {pid}",
    "write to /usr": "touch /usr/headgate-test && rm /usr/headgate-test",
    "write to the root": "touch /headgate-test && rm /headgate-test",
    "look into /run": 'test -n "$(ls -A /run)"',
    "look into the server's home": "test $(ls -A {home} | wc -l) -gt 1",
    "read password hashes": "grep -q root /etc/shadow",
    "see the other files in /tmp": "test -e {server}/marker",
    "read the server's environment": "cat /proc/{pid}/environ > /dev/null",
    "change a kernel setting": "cat /proc/sys/kernel/core_pattern > $TMPDIR/p; cat $TMPDIR/p > /proc/sys/kernel/core_pattern",
}
"""Each must fail inside, and succeed outside (else it proves nothing)."""


@pytest.mark.parametrize("attack", ATTACKS)
async def test_attacks_fail_inside_and_succeed_outside(processes, sandbox, server, attack):
    (server / "marker").touch()
    script = ATTACKS[attack].format(server=server, pid=os.getpid(), home=Path.home())
    code, said = await inside(processes, sandbox, server, script)
    assert code != 0, said
    code, said = await outside(processes, server, script)
    if code != 0 and os.geteuid() != 0:
        pytest.skip(f"this user could not do it anyway: {said}")
    assert code == 0, said


async def test_even_when_the_places_are_made_readable_they_stay_hidden(processes, sandbox, server):
    readable = [server, server / "data"]
    code, said = await inside(
        processes, sandbox, server, f"cat {server}/data/key {server}/config.yaml", readable=readable
    )
    assert code != 0
    assert "the key" not in said
    assert "the configuration" not in said
    code, said = await inside(
        processes, sandbox, server, f"cat {server}/data/workspaces/b_2/work/secret", readable=readable
    )
    assert code != 0
    open_sandbox = msgspec.structs.replace(sandbox, hidden=())
    code, said = await inside(
        processes, open_sandbox, server, f"cat {server}/data/key {server}/config.yaml", readable=readable
    )
    assert (code, said) == (0, "the keythe configuration"), "the negative control: without `hidden` they show"


async def test_a_readable_link_does_not_open_a_way_to_hidden_places(processes, sandbox, server):
    (server / "link").symlink_to(server)
    _, said = await inside(processes, sandbox, server, f"cat {server}/link/data/key", readable=[server / "link"])
    assert "the key" not in said


async def test_what_a_build_needs_is_there(processes, sandbox, server):
    script = """
        set -e
        echo x > work-file; echo y > ../home/h; echo z > /tmp/t
        python3 -c 'print("python")'; git --version > /dev/null
        test -r /etc/passwd; echo > /dev/null; head -c 1 /dev/urandom > /dev/null
        test "$(hostname)"
    """
    code, said = await inside(processes, sandbox, server, script)
    assert (code, said) == (0, "python\n")
    own = server / "data" / "workspaces" / "b_1"
    assert (own / "work" / "work-file").read_text() == "x\n"
    assert (own / "tmp" / "t").read_text() == "z\n", "/tmp is the build's own, and lasts from step to step"


async def test_readable_places_are_readable_and_not_writable(processes, sandbox, server):
    (server / "tools").mkdir()
    (server / "tools" / "t").write_text("tool")
    code, said = await inside(
        processes, sandbox, server, f"cat {server}/tools/t; touch {server}/tools/u", readable=[server / "tools"]
    )
    assert (code, said.startswith("tool")) == (1, True)
    assert (await inside(processes, sandbox, server, f"cat {server}/tools/t"))[0] != 0


async def test_no_capability_is_left(processes, sandbox, server):
    code, said = await inside(processes, sandbox, server, "grep CapEff /proc/self/status")
    assert (code, said) == (0, "CapEff:\t0000000000000000\n")


async def test_bubblewrap_alone_does_not_close_the_kernel_settings(processes, sandbox, server):
    """The negative control: as root, what its own `--proc` leaves open is why we cover /proc/sys."""
    if os.geteuid() != 0:
        pytest.skip("only a server that runs as root has this hole")
    own = server / "data" / "workspaces" / "b_1"
    argv = sandbox.wrap(["/bin/sh", "-c", "echo core > /proc/sys/kernel/core_pattern"], own=own, directory=own)
    at = argv.index("/proc/sys") - 1
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    try:
        code = await processes.run(
            [*argv[:at], *argv[at + 3 :]], environment=ENVIRONMENT, directory=own, output=lambda _: None, wrapped=True
        )
    finally:
        Path("/proc/sys/kernel/core_pattern").write_text(before)
    assert code == 0


async def test_a_server_below_tmp_is_hidden_too(processes, sandbox, tmp_path):
    furnish(tmp_path)
    code, said = await inside(processes, sandbox, tmp_path, f"cat {tmp_path}/data/key")
    assert code != 0
    assert "the key" not in said


@pytest.mark.parametrize("place", ["/", "/proc", "/run", "/tmp"])
async def test_what_would_undo_the_isolation_cannot_be_made_readable(sandbox, server, place):
    with pytest.raises(api.QueueError, match="cannot be made readable"):
        sandbox.wrap(["true"], own=server, directory=server, readable=[Path(place)])


async def test_a_tree_inside_ends_with_its_command_and_with_cancellation(processes, sandbox, server, marked):
    own = server / "data" / "workspaces" / "b_1"
    escape = "(setsid sh -c '(setsid sleep 300 &) ; exec sleep 300' &) ; "

    def start(script):
        argv = sandbox.wrap(["/bin/sh", "-c", script], own=own, directory=own)
        return asyncio.ensure_future(
            processes.run(
                argv, environment=marked.environment, directory=own, output=lambda _: None, wrapped=True, grace=0.2
            )
        )

    assert await start(escape + "sleep 0.1") == 0
    assert marked.pids() == []
    task = start("trap '' TERM; " + escape + "while :; do sleep 1; done")
    await marked.until(6)  # two bubblewraps, the shell and its sleep, two escaped ones
    task.cancel()
    await asyncio.wait({task})
    assert marked.pids() == []


async def test_a_step_inside_gets_sigterm_before_the_end(processes, sandbox, server):
    own = server / "data" / "workspaces" / "b_1"
    said = bytearray()
    script = "trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    argv = sandbox.wrap(["/bin/sh", "-c", script], own=own, directory=own)
    task = asyncio.ensure_future(
        processes.run(argv, environment=ENVIRONMENT, directory=own, output=said.extend, wrapped=True)
    )
    async with asyncio.timeout(5):
        while b"ready" not in said:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    assert b"cleaned" in said


async def test_without_bubblewrap_the_machine_says_so(processes, tmp_path):
    found = await detect(processes, hidden=[], environment={"PATH": str(tmp_path)})
    assert (found.program, found.problem) == (None, "bubblewrap (bwrap) is not installed")
    assert found.choose("auto") == "none"
    assert found.choose("none") == "none"
    with pytest.raises(api.QueueError, match=r"required and this machine has none: bubblewrap .* not installed"):
        found.choose("required")


async def test_a_bubblewrap_that_fails_is_not_used(processes, tmp_path):
    """Installed is not enough: where user namespaces are forbidden it cannot work, and detection has to notice."""
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    found = await detect(processes, hidden=[], environment={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert found.program is None
    assert "No permissions" in found.problem


async def test_a_bubblewrap_that_isolates_nothing_is_not_used(processes, tmp_path):
    (tmp_path / "bwrap").write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')
    (tmp_path / "bwrap").chmod(0o755)
    found = await detect(processes, hidden=[], environment={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert found.program is None


def test_choose_with_bubblewrap():
    there = Sandbox(program="/usr/bin/bwrap")
    assert [there.choose(rule) for rule in ("required", "auto", "none")] == ["bubblewrap", "bubblewrap", "none"]


PATHS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(
    trees=st.lists(PATHS, max_size=4), folders=st.lists(PATHS, max_size=3), files=st.lists(PATHS, max_size=3), own=PATHS
)
def test_every_hidden_place_that_shows_is_covered_after_all_trees_and_before_the_builds_own(trees, folders, files, own):
    argv = bubblewrap(
        ["true"],
        program="bwrap",
        links=(),
        trees=trees,
        hidden_files=files,
        hidden_folders=folders,
        own=own,
        directory=own,
    )
    shown = argv[: argv.index("--")]
    own_at = max(at for at, word in enumerate(shown) if word == "--bind" and shown[at + 1] == own)
    trees_end = max(
        (at for at, word in enumerate(shown) if word == "--ro-bind" and shown[at + 1] != "/dev/null"), default=0
    )

    def visible(path):
        return any(path == tree or path.startswith(tree + "/") for tree in trees)

    for folder in folders:
        if visible(folder):
            at = next(at for at, word in enumerate(shown) if word == "--tmpfs" and shown[at + 1] == folder)
            assert trees_end < at < own_at
    for file in files:
        if visible(file):
            covered = any(file == folder or file.startswith(folder + "/") for folder in folders)
            assert covered or shown[shown.index(file) - 1] in ("/dev/null", file) or file in trees
    assert shown[-4:] == ["--remount-ro", "/", "--chdir", own]


def test_private_paths_are_what_other_users_may_not_read(tmp_path):
    (tmp_path / "open").write_text("x")
    (tmp_path / "closed").write_text("x")
    (tmp_path / "closed").chmod(0o640)
    (tmp_path / "folder").mkdir(mode=0o755)
    (tmp_path / "folder" / "key").write_text("x")
    (tmp_path / "folder" / "key").chmod(0o600)
    (tmp_path / "shut").mkdir(mode=0o700)
    (tmp_path / "shut" / "inside").write_text("x")
    (tmp_path / "link").symlink_to("closed")
    assert [path.relative_to(tmp_path).as_posix() for path in private_paths(tmp_path)] == [
        "closed",
        "folder/key",
        "shut",
    ]
    assert private_paths(tmp_path / "missing") == ()


def test_the_interpreter_is_where_it_says():
    assert (Path(interpreter_prefix()) / "bin" / f"python{sys.version_info[0]}").exists()


async def test_detection_is_quick(sandbox, processes):
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await detect(processes, hidden=[], environment=ENVIRONMENT)).program == shutil.which("bwrap")
    assert loop.time() - began < 1
