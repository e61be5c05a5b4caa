"""A workspace's `.git`, written by hand: layout, refs, configuration, packs; not its index and no files.

Source: https://git-scm.com/docs/gitrepository-layout.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from headgate import api
from headgate.git.failures import Damaged
from headgate.git.names import shown

MARK = "headgate-sha"
"""The file in `.git` that says which commit we checked out."""

_SHA256 = 64
_COPY_TRIES = 5

Refs: TypeAlias = Mapping[str, tuple[str, str | None]]
"""Full ref → object id and, for an annotated tag whose target is known, that target."""


def read_refs(mirror: Path) -> tuple[Refs, bool]:
    """The mirror's refs, and whether every tag's target is known. Not by git: there may be ten thousand."""
    refs: dict[str, tuple[str, str | None]] = {}
    peeled = False
    with contextlib.suppress(FileNotFoundError):
        last = ""
        for line in (mirror / "packed-refs").read_text(errors="surrogateescape").splitlines():
            if line.startswith("#"):
                peeled = "fully-peeled" in line
            elif line.startswith("^"):
                refs[last] = (refs[last][0], line[1:])
            else:
                sha, _, last = line.partition(" ")
                refs[last] = (sha, None)
    for folder in ("heads", "tags"):
        for file in (mirror / "refs" / folder).rglob("*"):  # newer than packed-refs; usually none
            if file.is_file() and file.suffix != ".lock":
                refs[str(file.relative_to(mirror))] = (file.read_text().strip(), None)
                peeled = False
    return refs, peeled


def write_repository(
    target: Path,
    mirror: Path,
    *,
    commit: str,
    ref: str | None,
    url: str,
    refs: tuple[Refs, bool],
    boundary: Sequence[str],
    sparse: Sequence[str],
    copy: bool,
) -> None:
    """A whole `.git` but for its index. Source: https://git-scm.com/docs/gitrepository-layout."""
    for folder in ("objects/pack", "objects/info", "refs/heads", "refs/tags", "info"):
        (target / folder).mkdir(parents=True)
    if copy:
        _copy_objects(mirror / "objects", target / "objects")
    branch = ref.removeprefix("refs/heads/") if ref is not None and ref.startswith("refs/heads/") else None
    (target / "HEAD").write_text(f"ref: {ref}\n" if branch else f"{commit}\n")
    (target / "config").write_text(_config(url, branch, sparse=bool(sparse), sha256=len(commit) == _SHA256))
    (target / "packed-refs").write_text(_packed_refs(refs, branch, commit), errors="surrogateescape")
    (target / MARK).write_text(commit)
    if boundary:
        (target / "shallow").write_text("".join(f"{sha}\n" for sha in boundary))
    if sparse:
        (target / "info" / "sparse-checkout").write_text(_sparse_patterns(sparse))


def _copy_objects(source: Path, target: Path) -> None:
    """Copy packs (and loose objects, should there be any), while a repack may replace them."""
    for attempt in range(_COPY_TRIES):
        try:
            for file in sorted((source / "pack").glob("pack-*"), reverse=True):  # .rev, .pack, and .idx last
                if file.suffix in {".pack", ".idx", ".rev"}:
                    _copy(file, target / "pack" / file.name)
            for folder in source.glob("[0-9a-f][0-9a-f]"):
                shutil.copytree(folder, target / folder.name, dirs_exist_ok=True)
        except FileNotFoundError:  # repacked meanwhile: look again
            if attempt + 1 == _COPY_TRIES:
                raise Damaged(f"the mirror {source.parent.name} loses files while it is read") from None
            for file in (target / "pack").iterdir():
                file.unlink()
        else:
            return


def _copy(source: Path, target: Path) -> None:
    """In the kernel, which shares the blocks on file systems that can."""
    with source.open("rb") as reader, target.open("xb") as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            while left > 0 and (done := os.copy_file_range(reader.fileno(), writer.fileno(), left)):
                left -= done
        except OSError:  # other devices, old kernels, odd file systems
            reader.seek(0)
            writer.seek(0)
            writer.truncate()
            shutil.copyfileobj(reader, writer)
        os.fchmod(writer.fileno(), 0o444)


def _config(url: str, branch: str | None, *, sparse: bool, sha256: bool) -> str:
    lines = [
        "[core]",
        f"\trepositoryformatversion = {int(sha256)}",
        "\tfilemode = true",
        "\tbare = false",
        "\tlogallrefupdates = true",
    ]
    if sparse:
        lines += ["\tsparseCheckout = true", "\tsparseCheckoutCone = true"]
    if sha256:
        lines += ["[extensions]", "\tobjectFormat = sha256"]
    lines += ['[remote "origin"]', f"\turl = {_quoted(url)}", "\tfetch = +refs/heads/*:refs/remotes/origin/*"]
    if branch:
        lines += [f"[branch {_quoted(branch)}]", "\tremote = origin", f"\tmerge = {_quoted(f'refs/heads/{branch}')}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """As git's configuration wants it; names and URLs were checked to hold no line break."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _packed_refs(refs: tuple[Refs, bool], branch: str | None, commit: str) -> str:
    """The mirror's branches as `refs/remotes/origin/`, its tags as they are, and the one local branch."""
    values, peeled = refs
    mine: dict[str, tuple[str, str | None]] = {}
    if branch:
        mine[f"refs/remotes/origin/{branch}"] = (commit, None)
    for name, value in values.items():
        if name.startswith("refs/heads/"):
            mine[f"refs/remotes/origin/{name.removeprefix('refs/heads/')}"] = value
        elif name.startswith("refs/tags/"):
            mine[name] = value
    if branch:
        mine[f"refs/heads/{branch}"] = (commit, None)
    lines = [f"# pack-refs with:{' peeled fully-peeled' if peeled else ''} sorted "]
    for name in sorted(mine, key=lambda name: name.encode(errors="surrogateescape")):
        sha, target = mine[name]
        lines.append(f"{sha} {name}")
        if target is not None:
            lines.append(f"^{target}")
    return "\n".join(lines) + "\n"


def _sparse_patterns(folders: Sequence[str]) -> str:
    """Cone mode: the files at the root, all below the `folders`, and the files right beside the way to them.

    Source: https://git-scm.com/docs/git-sparse-checkout (internals: cone mode handling).
    """
    whole = sorted({_sparse_folder(folder) for folder in folders})
    ways = {"/".join(folder.split("/")[:depth]) for folder in whole for depth in range(1, folder.count("/") + 1)}
    lines = ["/*", "!/*/"]
    for folder in sorted({*whole, *ways}):
        lines.append(f"/{folder}/")
        if folder not in whole:
            lines.append(f"!/{folder}/*/")
    return "\n".join(lines) + "\n"


def _sparse_folder(folder: str) -> str:
    clean = folder.strip("/")
    parts = clean.split("/")
    if (
        not clean
        or ".." in parts
        or "." in parts
        or not clean.isprintable()
        or any(sign in clean for sign in "*?[]\\!#")
    ):
        raise api.Refused(f"checkout.sparse takes folders (`src`, `docs/api`), not `{shown(folder)}`")
    return clean
