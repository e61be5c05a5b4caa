"""Which URLs, refs and shas may reach a git process; not what is done with them.

Everything here is decided before a process starts, on the text alone (a local path is also resolved, so that a
symlink cannot lead out of the folders an admin listed). What is not known to be harmless is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias

import msgspec

from headgate import api

Scheme: TypeAlias = Literal["https", "http", "ssh", "local"]

_MAX_URL = 2048
_MAX_REF = 1024
_MAX_PORT = 65535

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f]")
_REMOTE_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*::")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_SCP = re.compile(r"(?P<authority>[^/:\[]*\[[^/\]]*\]|[^/:\[]*):(?P<path>(?!//).+)", re.DOTALL)
_AUTHORITY = re.compile(r"(?:(?P<user>[^@]*)@)?(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>.*))?", re.DOTALL)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")
_PATH = re.compile(r"(?:[A-Za-z0-9._~+=@:,/-]|%[0-9A-Fa-f]{2})+")
_ENCODED_DANGER = re.compile(r"%(?:[01][0-9a-f]|7f|2e|2f|5c)", re.IGNORECASE)
_REF_CHARACTERS = re.compile(r"[\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_SHA = re.compile(r"[0-9a-f]{7,63}")


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A checked place to fetch from. `url` is what git is given: the URL as written, or a resolved local folder.

    `host` is lower-case and empty for a local folder, as is `folder` for a remote one; `port` only when written.
    """

    scheme: Scheme
    url: str
    host: str = ""
    port: int | None = None
    path: str
    folder: Path | None = None

    @property
    def origin(self) -> str:
        """`https://example.org:8443`: what a credential is bound to. Only for http and https."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port else "")

    @property
    def is_loopback(self) -> bool:
        """Whether it names this very machine, so that a password in clear text passes no cable."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def check_url(url: str, *, local_roots: Sequence[Path] = ()) -> Location:
    """Where `url` leads, or `Refused` with the reason and what to write instead; starts nothing.

    Allowed are https, http, `ssh://` and `user@host:path`, and absolute paths below one of `local_roots`
    (`NotFound` when nothing is there). The message never repeats a password that stood in the URL.
    """
    if not url or len(url) > _MAX_URL:
        raise api.Refused(f"a repository's URL has 1 to {_MAX_URL} characters; this one has {len(url)}")
    if _CONTROL.search(url):
        _refuse(url, "it holds a control character or a line break")
    if url.startswith("-"):
        _refuse(url, "it starts with a dash, which git would take for an option")
    if _REMOTE_HELPER.match(url):
        _refuse(url, "`name::` starts a remote helper, which can run any command; use https or ssh")
    if url.startswith("/"):
        return _check_folder(url, local_roots)
    if match := _SCHEME.fullmatch(url):
        return _check_remote(url, match["scheme"].lower(), match["rest"])
    if match := _SCP.fullmatch(url):
        return _check_scp(url, match["authority"], match["path"])
    return _refuse(url, "it is no https or ssh URL, no `user@host:path` and no absolute path")


def _check_remote(url: str, scheme: str, rest: str) -> Location:
    if scheme == "file":
        _refuse(url, "file:// is not used; write the plain path, and list its folder under git.local_roots")
    if scheme not in {"https", "http", "ssh"}:
        _refuse(url, f"{scheme}:// is not allowed; use https or ssh")
    authority, slash, path = rest.partition("/")
    if "?" in rest or "#" in rest:
        _refuse(url, "a repository's URL has neither `?` nor `#`")
    user, host, port = _check_authority(url, authority)
    if user is not None and scheme != "ssh":
        _refuse(url, "it holds a user or a password; store them as a credential and name that instead")
    if not path.strip("/"):
        _refuse(url, "it names a host and no repository")
    _check_path(url, slash + path)
    return Location(scheme="ssh" if scheme == "ssh" else _web(scheme), url=url, host=host, port=port, path=slash + path)


def _web(scheme: str) -> Scheme:
    return "https" if scheme == "https" else "http"


def _check_scp(url: str, authority: str, path: str) -> Location:
    if authority.lower() in {"https", "http", "ssh", "git", "file"}:
        _refuse(url, f"`{authority.lower()}:` needs two slashes behind it")
    if "@" in path:
        _refuse(url, "it holds a password, or a path with `@`, which needs the form ssh://user@host/path")
    _, host, port = _check_authority(url, authority)
    if port is not None:
        _refuse(url, "a port needs the form ssh://user@host:port/path")
    _check_path(url, path)
    return Location(scheme="ssh", url=url, host=host, path=path)


def _check_authority(url: str, authority: str) -> tuple[str | None, str, int | None]:
    """User, lower-case host and port; whatever could be an option, a command or a secret is refused."""
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        _refuse(url, "its host cannot be read")
    user, host, port = match["user"], match["host"], match["port"]
    if user is not None and not _USER.fullmatch(user):
        if ":" in user:
            _refuse(url, "it holds a password; store it as a credential and name that instead")
        _refuse(url, "its user name may hold letters, digits, `.`, `_` and `-`, and not start with a dash")
    if host.startswith("["):
        try:
            host = ip_address(host[1:-1]).compressed
        except ValueError:
            _refuse(url, "its address in brackets is none")
    elif not _HOST.fullmatch(host):
        _refuse(url, "its host is no host name (no leading dash, no `$`, no blanks; other scripts as punycode)")
    if port in {None, ""}:
        return user, host.lower(), None
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) <= _MAX_PORT:
        _refuse(url, "its port is no number from 1 to 65535")
    return user, host.lower(), int(port)


def _check_path(url: str, path: str) -> None:
    if not _PATH.fullmatch(path):
        _refuse(url, "its path may hold letters, digits and `._~+=@:,/-`; anything else goes as %xx")
    if _ENCODED_DANGER.search(path):
        _refuse(url, "its path hides a control character, a dot or a slash behind %xx")
    if path.lstrip("/").startswith("-"):
        _refuse(url, "its path starts with a dash, which the other side could take for an option")
    if ".." in path.split("/"):
        _refuse(url, "its path climbs with `..`")


def _check_folder(url: str, local_roots: Sequence[Path]) -> Location:
    """An absolute path, resolved, below a resolved root; so is the `.git` it may point to."""
    if not local_roots:
        _refuse(url, "paths of this machine are not used unless their folder is listed under git.local_roots")
    if "$" in url or "`" in url or "\\" in url:
        _refuse(url, "it holds `$`, a back quote or a backslash")
    roots = [root.resolve() for root in local_roots]
    folder = Path(url).resolve()
    if not _within(folder, roots):
        _refuse(url, "it is not below one of git.local_roots: " + ", ".join(str(root) for root in local_roots))
    inner = folder / ".git"
    if not folder.is_dir() or not (inner.exists() or (folder / "HEAD").is_file()):
        raise api.NotFound(f"{url} is no Git repository")
    if inner.is_file():  # a linked worktree or a submodule: one line says where the repository is
        first = inner.read_text(errors="replace").removeprefix("gitdir:").strip()
        if not _within((folder / first).resolve(), roots):
            _refuse(url, "its .git file points outside git.local_roots; list that folder too")
    elif inner.exists() and not _within(inner.resolve(), roots):
        _refuse(url, "its .git leads outside git.local_roots")
    return Location(scheme="local", url=str(folder), path=str(folder), folder=folder)


def _within(folder: Path, roots: Sequence[Path]) -> bool:
    return any(folder == root or root in folder.parents for root in roots)


def shown(url: str) -> str:
    """A URL fit for a message: without user, password and query, unprintable characters spelled out, cut short."""
    start, _, rest = url.partition("://") if "://" in url else ("", "", url)
    rest = rest.partition("?")[0].partition("#")[0]
    user, at, after = rest.rpartition("@")
    if at and (start not in {"ssh", ""} or not _USER.fullmatch(user)):  # a user name of ssh is no secret
        rest = f"***@{after}"
    text = f"{start}://{rest}" if start else rest
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text[:200] + ("…" if len(text) > 200 else "")  # noqa: PLR2004 - a line of a message


def _refuse(url: str, reason: str) -> NoReturn:
    raise api.Refused(f"the repository URL `{shown(url)}` is refused: {reason}")


def check_ref(ref: str) -> str:
    """The full ref itself (`refs/heads/main`, or `HEAD`), or `Refused`.

    The rules are those of https://git-scm.com/docs/git-check-ref-format, and no short name that starts with
    a dash: build steps pass branch names on to commands.
    """
    if ref == "HEAD":
        return ref
    reason = None
    parts = ref.split("/")
    if not ref.startswith("refs/"):
        reason = "a full ref starts with `refs/`"
    elif len(ref.encode(errors="replace")) > _MAX_REF:
        reason = f"it is longer than {_MAX_REF} bytes"
    elif _REF_CHARACTERS.search(ref):
        reason = "it holds a blank, a control character or one of `~^:?*[\\`"
    elif ".." in ref or "@{" in ref or ref.endswith("."):
        reason = "it holds `..` or `@{`, or ends with a dot"
    elif any(not part or part.startswith(".") or part.endswith(".lock") for part in parts):
        reason = "a part of it is empty, starts with a dot or ends with `.lock`"
    elif len(parts) > 2 and parts[2].startswith("-"):  # noqa: PLR2004 - refs / heads / name
        reason = "its short name starts with a dash"
    if reason:
        raise api.Refused(f"the ref `{shown(ref)}` is refused: {reason}")
    return ref


def check_prefix(prefix: str) -> str:
    """What refs to ask for may start with: `refs/heads/`, `refs/heads/main`, `HEAD`; `Refused` for anything else."""
    if prefix != "HEAD":
        check_ref(prefix.removesuffix("/") + "/x" if prefix != "refs/" else "refs/x")
    return prefix


def check_sha(sha: str) -> str:
    """The full lower-case object id itself (40 or 64 hex digits, not all zero), or `Refused`."""
    if not _SHA.fullmatch(sha) or sha in api.ZERO_SHAS:
        raise api.Refused(f"`{shown(sha)}` is no full commit id: 40 or 64 lower-case hex digits")
    return sha


def check_short_sha(sha: str) -> str:
    """The first digits of an object id themselves (7 or more, lower-case hex), or `Refused`."""
    if not _SHORT_SHA.fullmatch(sha):
        raise api.Refused(f"`{shown(sha)}` is no abbreviated commit id: 7 or more lower-case hex digits")
    return sha
