"""`headgate.api.sealing`: what is sealed opens where it belongs, with its key, and nowhere else."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.api import CredentialError, SealingKey, read_key_file
from headgate.api import sealing as room

KEY = SealingKey(bytes(range(32)))


@settings(deadline=None)
@given(plain=st.text(max_size=200), place=st.text(max_size=40))
def test_what_is_sealed_opens_again(plain: str, place: str) -> None:
    assert KEY.open(KEY.seal(plain, bound_to=place), bound_to=place) == plain


def test_the_same_secret_is_never_sealed_to_the_same_text() -> None:
    assert len({KEY.seal("x", bound_to="a") for _ in range(50)}) == 50


def test_it_opens_with_no_other_key_and_bound_to_nothing_else() -> None:
    sealed = KEY.seal("secret", bound_to="a")
    for key, place in ((SealingKey(os.urandom(32)), "a"), (KEY, "b"), (KEY, "")):
        with pytest.raises(CredentialError, match="cannot be opened"):
            key.open(sealed, bound_to=place)


def test_control_bound_to_nothing_a_swapped_text_opens() -> None:
    """Negative control: with the same empty binding everywhere, one secret can be put in another's place."""
    mine, yours = KEY.seal("mine", bound_to=""), KEY.seal("yours", bound_to="")
    assert KEY.open(yours, bound_to="") == "yours"
    assert KEY.open(mine, bound_to="") == "mine"
    bound = KEY.seal("yours", bound_to="store/yours")
    with pytest.raises(CredentialError):
        KEY.open(bound, bound_to="store/mine")


def test_every_changed_byte_and_every_cut_is_noticed() -> None:
    sealed = KEY.seal("a secret", bound_to="a")
    raw = base64.urlsafe_b64decode(sealed.removeprefix("hg1."))
    for at in range(len(raw)):
        changed = bytes([*raw[:at], raw[at] ^ 1, *raw[at + 1 :]])
        for other in (changed, raw[:at]):
            with pytest.raises(CredentialError):
                KEY.open("hg1." + base64.urlsafe_b64encode(other).decode(), bound_to="a")


@pytest.mark.parametrize("text", ["", "hg1.", "hg2.AAAA", "hg1.***", "hg1.\udcff", "hg1.é", "AAAA" * 40])
def test_what_is_no_sealed_text_is_a_credential_error(text: str) -> None:
    with pytest.raises(CredentialError):
        KEY.open(text, bound_to="a")


def test_a_text_without_its_format_in_front_is_refused() -> None:
    with pytest.raises(CredentialError):
        KEY.open(KEY.seal("x", bound_to="a").removeprefix("hg1."), bound_to="a")


def test_rewrap_changes_the_key_and_nothing_else() -> None:
    new = SealingKey(os.urandom(32))
    sealed = KEY.seal("secret", bound_to="a")
    again = new.rewrap(sealed, old=KEY, bound_to="a")
    assert new.open(again, bound_to="a") == "secret"
    with pytest.raises(CredentialError):
        KEY.open(again, bound_to="a")
    with pytest.raises(CredentialError):
        new.rewrap(sealed, old=KEY, bound_to="b")
    # The ciphertext itself is carried over: the secret was not opened.
    assert base64.urlsafe_b64decode(again[4:])[60:] == base64.urlsafe_b64decode(sealed[4:])[60:]


def test_a_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "headgate.key"
    first = read_key_file(path, create=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["headgate.key"]
    sealed = first.seal("x", bound_to="a")
    assert read_key_file(path, create=True).open(sealed, bound_to="a") == "x"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    read_key_file(path, create=True)
    path.chmod(mode)
    with pytest.raises(CredentialError, match="chmod 600"):
        read_key_file(path)


@pytest.mark.parametrize("content", [b"", b"ab" * 31, b"zz" * 32, os.urandom(32), b"\xff" * 64, b"ab" * 4000])
def test_a_key_file_of_another_form_is_a_credential_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(CredentialError, match="64 hex digits"):
        read_key_file(path)


def test_what_is_no_file_neither_holds_us_nor_breaks_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "file").touch()
    for name in ("pipe", "folder", "missing", "file/key"):
        with pytest.raises(CredentialError):
            read_key_file(tmp_path / name, create=name == "file/key")


def test_two_who_make_the_key_at_once_get_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second finds the file between its look and its write, and takes what is there."""
    path = tmp_path / "key"
    write = room._write_new

    def late(target: Path, text: str) -> None:
        write(target, "ab" * 32)
        write(target, text)

    monkeypatch.setattr(room, "_write_new", late)
    sealed = read_key_file(path, create=True).seal("x", bound_to="a")
    assert SealingKey(b"\xab" * 32).open(sealed, bound_to="a") == "x"


def test_a_key_does_not_print_itself() -> None:
    assert bytes(range(32)).hex() not in f"{KEY!r}{KEY}"
    assert not hasattr(KEY, "__dict__")
