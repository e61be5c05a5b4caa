"""What an isolated step may see and write: the arguments for bubblewrap, and whether it works here; not running it.

A step sees the machine's programs and libraries read-only, of /etc only what every user of the machine may read,
and of the server nothing. Its build's own folder (workspace, home, temporary files) is the only place to write.
The network is shared: builds fetch things.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from headgate import api
from headgate.builds.processes import Processes

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store", "/gnu/store")
"""The allow-list: what is not here, not `readable` and not the build's own does not exist inside."""

_NAMES = ("/etc/resolv.conf", "/etc/hosts", "/etc/localtime")
"""Often links out of /etc (to /run); without them no name resolves."""

_OURS = frozenset({"/", "/proc", "/dev", "/sys", "/run", "/tmp"})  # noqa: S108 - never written to
"""What an isolated step has of its own or not at all."""

_PROBE = 'test -w "$PWD" && test "$$" -lt 10 && ! touch /usr/.headgate-probe 2>/dev/null'


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """What isolation this machine has, found out once. `program` is `None` when there is none; `problem` says why.

    `links` are (target, path) of system folders that are symbolic links; `trees` are bound read-only;
    `hidden` are the server's own places and /etc's private ones, covered wherever they would show.
    """

    program: str | None = None
    problem: str = ""
    links: tuple[tuple[str, str], ...] = ()
    trees: tuple[str, ...] = ()
    hidden: tuple[Path, ...] = ()

    def choose(self, rule: api.IsolationRule) -> api.Isolation:
        """What a step gets under `rule`; raises `QueueError` when it requires what is not here."""
        if rule == "none":
            return "none"
        if self.program is not None:
            return "bubblewrap"
        if rule == "required":
            raise api.QueueError(f"isolation is required and this machine has none: {self.problem}")
        return "none"

    def wrap(self, argv: Sequence[str], *, own: Path, directory: Path, readable: Sequence[Path] = ()) -> list[str]:
        """`argv` inside bubblewrap. `own` is the build's folder (with `tmp` in it), `directory` where it starts.

        `readable` are further trees, links resolved; raises `QueueError` when one would undo the isolation.
        """
        existing = tuple(str(path.resolve()) for path in readable if path.exists())
        if opened := _OURS.intersection(existing):
            raise api.QueueError(f"{', '.join(sorted(opened))} cannot be made readable: it would undo the isolation")
        files = tuple(str(path) for path in self.hidden if path.is_file())
        folders = tuple(str(path) for path in self.hidden if path.is_dir())
        return bubblewrap(
            argv,
            program=self.program or "bwrap",
            links=self.links,
            trees=(*self.trees, *existing),
            hidden_files=files,
            hidden_folders=folders,
            own=str(own.resolve()),
            directory=str(directory.resolve()),
        )


def bubblewrap(
    argv: Sequence[str],
    *,
    program: str,
    links: Sequence[tuple[str, str]],
    trees: Sequence[str],
    hidden_files: Sequence[str],
    hidden_folders: Sequence[str],
    own: str,
    directory: str,
) -> list[str]:
    """The whole command line; pure. Paths are absolute and without symbolic links. Hidden wins over readable.

    Order matters to bubblewrap: a later mount covers an earlier one.
    """
    command = [program, "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    for target, path in links:
        command += ["--symlink", target, path]
    # Where the server runs as root, uid 0 inside may write kernel settings without any capability, and
    # bubblewrap's own cover of /proc/sys does not notice: so it is bound read-only here.
    command += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"]
    command += ["--tmpfs", "/run", "--bind", f"{own}/tmp", "/tmp"]  # noqa: S108 - the build's own
    for tree in trees:
        command += ["--ro-bind", tree, tree]
    covered = [folder for folder in hidden_folders if _shows(folder, trees)]
    for folder in covered:
        command += ["--tmpfs", folder]
    for file in hidden_files:
        if _shows(file, trees) and not _shows(file, covered):
            command += ["--ro-bind", "/dev/null", file]
    command += ["--bind", own, own]
    for folder in (*covered, "/run", "/"):
        command += ["--remount-ro", folder]
    return [*command, "--chdir", directory, "--", *argv]


def _shows(path: str, trees: Sequence[str]) -> bool:
    return any(path == tree or path.startswith(tree.rstrip("/") + "/") for tree in trees)


async def detect(processes: Processes, *, hidden: Sequence[Path], environment: Mapping[str, str]) -> Sandbox:
    """Look at the machine and try bubblewrap once, with the very arguments a build would get.

    `hidden`: the data directory, the configuration, key files. `environment` needs a `PATH`.
    """
    program = shutil.which("bwrap", path=environment.get("PATH"))
    links, trees = _system()
    covered = (*(path.resolve() for path in hidden), *private_paths(Path("/etc")))
    sandbox = Sandbox(program=program, links=links, trees=trees, hidden=covered)
    if program is None:
        return msgspec.structs.replace(sandbox, problem="bubblewrap (bwrap) is not installed")
    output = bytearray()
    with tempfile.TemporaryDirectory(prefix="headgate-probe-") as name:
        own = Path(name).resolve()  # noqa: ASYNC240 - once, at start
        (own / "tmp").mkdir()
        argv = sandbox.wrap(["/bin/sh", "-c", _PROBE], own=own, directory=own)
        try:
            code = await processes.run(argv, environment=environment, directory=own, output=output.extend, wrapped=True)
        except api.QueueError as error:
            return msgspec.structs.replace(sandbox, program=None, problem=str(error))
    if code != 0:
        said = output.decode(errors="replace").strip() or f"exit code {code}"
        return msgspec.structs.replace(sandbox, program=None, problem=f"bubblewrap does not work here: {said}")
    return sandbox


def _system() -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The links and the trees of the allow-list, as they are on this machine."""
    links, trees = [], []
    for name in _SYSTEM:
        if os.path.islink(name):  # noqa: PTH114 - plain strings on purpose: they become arguments
            links.append((os.readlink(name), name))  # noqa: PTH115 - likewise
        elif os.path.isdir(name):  # noqa: PTH112 - likewise
            trees.append(name)
    for name in (*_NAMES, interpreter_prefix()):
        real = str(Path(name).resolve())
        if Path(real).exists() and not _shows(real, trees):
            trees.append(real)
    return tuple(links), tuple(trees)


def interpreter_prefix() -> str:
    """Where the Python that runs us lives, so that `python3` is there for builds wherever it was installed."""
    return sys.base_prefix


def private_paths(root: Path) -> tuple[Path, ...]:
    """What below `root` we may read and other users may not: host keys, password hashes, a server's own settings."""
    found: list[Path] = []
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError:
        return ()
    for entry in entries:
        if entry.is_symlink():
            continue
        mode = entry.stat(follow_symlinks=False).st_mode
        folder = entry.is_dir(follow_symlinks=False)
        needed = 0o005 if folder else 0o004
        if mode & needed != needed:
            if os.access(entry.path, os.R_OK):
                found.append(Path(entry.path))
        elif folder:
            found.extend(private_paths(Path(entry.path)))
    return tuple(found)
