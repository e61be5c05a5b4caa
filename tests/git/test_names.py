"""What may reach git is decided on text alone; each refusal has the attack it prevents beside it."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from corpus import corpus_path
from git_server import checkout, commit, commit_to
from git_server import git as run
from hostile_git import HOSTILE_REFS, HOSTILE_URLS
from hypothesis import given
from hypothesis import strategies as st

from headgate import api
from headgate.git.names import check_prefix, check_ref, check_sha, check_url, shown


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_a_hostile_url_is_refused(url, tmp_path):
    """Also where local paths are allowed."""
    with pytest.raises(api.Refused) as caught:
        check_url(url, local_roots=[tmp_path])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("ref", HOSTILE_REFS)
def test_a_hostile_ref_is_refused(ref):
    with pytest.raises(api.Refused):
        check_ref(ref)


@pytest.mark.parametrize("sha", ["", "main", "HEAD", "-n1", "0" * 40, "A" * 40, "a" * 39, "a" * 41, "a" * 40 + "\n"])
def test_what_is_no_full_commit_id_is_refused(sha):
    with pytest.raises(api.Refused):
        check_sha(sha)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://github.com/Org/Repo.git", "github.com", None, "/Org/Repo.git"),
        ("HTTPS://GitHub.com/Org/Repo", "github.com", None, "/Org/Repo"),
        ("https://dev.azure.com/org/My%20Project/_git/repo", "dev.azure.com", None, "/org/My%20Project/_git/repo"),
        ("http://127.0.0.1:8080/team/app.git", "127.0.0.1", 8080, "/team/app.git"),
        ("https://[::1]:8443/app", "::1", 8443, "/app"),
        ("ssh://git@host.example:2222/~ada/app", "host.example", 2222, "/~ada/app"),
        ("git@github.com:Org/Repo.git", "github.com", None, "Org/Repo.git"),
        ("joe@github.com-work:org/repo.git", "github.com-work", None, "org/repo.git"),
        ("host.example:/srv/app.git/", "host.example", None, "/srv/app.git/"),
        ("git@[::1]:app", "::1", None, "app"),
    ],
)
def test_an_honest_url_is_read(url, host, port, path):
    location = check_url(url)
    assert (location.host, location.port, location.path, location.url) == (host, port, path, url)


@pytest.mark.parametrize(
    "ref", ["HEAD", "refs/heads/main", "refs/heads/feature/a-b", "refs/tags/v1.0", "refs/pull/7/head"]
)
def test_an_honest_ref_passes(ref):
    assert check_ref(ref) == ref


def test_prefixes_may_end_in_a_slash_or_amid_a_name():
    for prefix in ("HEAD", "refs/", "refs/heads/", "refs/heads/rel", "refs/heads/release/"):
        assert check_prefix(prefix) == prefix
    for prefix in ("", "heads/", "refs/heads/*", "refs/heads/../", "-x", "refs/heads/\n"):
        with pytest.raises(api.Refused):
            check_prefix(prefix)


@given(st.text(max_size=60))
def test_our_rule_for_refs_is_never_wider_than_gits_own(text):
    ref = f"refs/heads/{text}"
    try:
        check_ref(ref)
    except api.Refused:
        return
    assert subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0


@given(
    st.text(max_size=80)
    | st.from_regex(r"\A(https|ssh|git)://[ -~]{0,40}\Z")
    | st.from_regex(r"\A[ -~]{1,9}:[ -~]{1,20}\Z")
)
def test_any_text_is_read_or_refused_and_never_crashes(text):
    try:
        location = check_url(text)
    except api.Refused:
        return
    assert not location.url.startswith("-")
    assert not location.host.startswith("-")
    assert location.url.isprintable()
    assert location.scheme in {"https", "http", "ssh"}


def test_a_message_never_repeats_a_password():
    for url in (
        "https://ada:s3cret@example.org/repo",
        "https://s3cret@example.org/repo",
        "https://ada:s3/cret@example.org/repo",
        "ssh://git:s3cret@example.org/repo",
        "git:s3cret@example.org:repo",
        "ftp://ada:s3cret@example.org/repo",
        "https://example.org/repo?token=s3cret",
        "https://example.org/repo#s3cret",
    ):
        with pytest.raises(api.Refused) as caught:
            check_url(url)
        assert "cret" not in str(caught.value)
    assert shown("https://a:b@example.org/x") == "https://***@example.org/x"


class TestLocalPaths:
    """Folders of this machine are read only below roots that an admin listed, symlinks resolved."""

    @pytest.fixture
    def roots(self, tmp_path):
        (tmp_path / "open").mkdir()
        (tmp_path / "closed").mkdir()
        commit(checkout(tmp_path / "open/app"), {"a": "1\n"}, "One")
        commit(checkout(tmp_path / "closed/secret"), {"a": "1\n"}, "One")
        return tmp_path

    def test_below_a_root_it_is_read(self, roots):
        location = check_url(str(roots / "open/app"), local_roots=[roots / "open"])
        assert location.scheme == "local"
        assert location.folder == roots / "open/app"

    def test_without_roots_it_is_refused(self, roots):
        with pytest.raises(api.Refused, match="local_roots"):
            check_url(str(roots / "open/app"))

    def test_outside_it_is_refused(self, roots):
        for path in ("closed/secret", "open/../closed/secret", "open", "openx"):
            with pytest.raises((api.Refused, api.NotFound)):
                check_url(str(roots / path), local_roots=[roots / "open"])

    def test_a_symlink_leads_nowhere_else(self, roots):
        (roots / "open/way").symlink_to(roots / "closed/secret")
        with pytest.raises(api.Refused, match="not below"):
            check_url(str(roots / "open/way"), local_roots=[roots / "open"])
        assert check_url(str(roots / "open/way"), local_roots=[roots]).folder == roots / "closed/secret"

    def test_a_git_file_or_symlink_leads_nowhere_else(self, roots):
        for name in ("file", "link"):
            (roots / "open" / name).mkdir()
        (roots / "open/file/.git").write_text(f"gitdir: {roots}/closed/secret/.git\n")
        (roots / "open/link/.git").symlink_to(roots / "closed/secret/.git")
        for name in ("file", "link"):
            with pytest.raises(api.Refused, match="outside"):
                check_url(str(roots / "open" / name), local_roots=[roots / "open"])

    def test_what_is_no_repository_is_not_found(self, roots):
        (roots / "open/empty").mkdir()
        for name in ("empty", "none"):
            with pytest.raises(api.NotFound):
                check_url(str(roots / "open" / name), local_roots=[roots / "open"])

    def test_a_root_may_be_a_symlink_itself(self, roots):
        (roots / "alias").symlink_to(roots / "open")
        assert check_url(str(roots / "alias/app"), local_roots=[roots / "alias"]).folder == roots / "open/app"


def corpus_urls():
    for row in json.loads((corpus_path() / "urls.json").read_text()):
        if "url" in row:
            yield row["url"], row["expect"]
        else:
            for url in (*row["equivalent"], *row["not_equivalent"]):
                yield url, {}


@pytest.mark.corpus
def test_every_recorded_form_is_read_or_refused_with_a_reason():
    """Where we read one, its host is the one the other parsers found; refusals are counted so that none is silent."""
    read, refused = 0, 0
    for url, expected in corpus_urls():
        try:
            location = check_url(url)
        except api.Refused:
            refused += 1
            continue
        read += 1
        assert "://" not in url or location.scheme == url.partition("://")[0]
        host = expected.get("host") if isinstance(expected, dict) else None
        if host:
            assert location.host == host.partition("@")[2].partition(":")[0] or location.host == host.partition(":")[0]
    assert read > 40
    assert refused > 20


@pytest.mark.corpus
def test_forms_that_jenkins_holds_equal_have_one_host_and_path_here():
    rows = [row for row in json.loads((corpus_path() / "urls.json").read_text()) if "equivalent" in row]
    assert rows
    for row in rows:
        found = set()
        for url in row["equivalent"]:
            try:
                location = check_url(url)
            except api.Refused:
                assert "git://" in url or "https://someone" in url
                continue
            found.add((location.host, location.path.strip("/").removesuffix(".git")))
        assert found == {("example.com", "jenkinsci/git-plugin")}


def test_git_itself_would_run_what_we_refuse(tmp_path):
    """The negative control: handed to git with its own rules switched off, a refused URL runs a command."""
    mark = tmp_path / "mark"
    url = f"ext::sh -c touch% {mark}"
    with pytest.raises(api.Refused):
        check_url(url)
    subprocess.run(
        ["git", "-c", "protocol.ext.allow=always", "ls-remote", url],
        check=False,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    assert mark.exists()


def test_git_itself_would_take_a_refused_ref_for_an_option(tmp_path):
    bare = tmp_path / "app.git"
    bare.mkdir()
    run(bare, "init", "--quiet", "--bare", "--initial-branch=main")
    commit_to(bare, {"a": "1\n"}, "One")
    mark = tmp_path / "mark"
    attack = f"--upload-pack=touch {mark};git-upload-pack"
    with pytest.raises(api.Refused):
        check_ref(attack)
    subprocess.run(["git", "ls-remote", attack, str(bare)], check=False, capture_output=True, cwd=tmp_path)
    assert mark.exists()
