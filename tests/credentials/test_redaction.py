"""No secret survives the redactor, and nothing else is touched."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from headgate.credentials import redaction
from headgate.credentials.forms import forms, to_bytes
from headgate.credentials.redaction import Redactor

# No asterisks: `x***` appears by masking `abcd` in `xabcd`, and tells nothing.
CHARACTERS = st.characters(exclude_characters="*", codec="utf-8")
SECRETS = st.text(CHARACTERS, min_size=1, max_size=60).filter(lambda text: bool(forms(text)))
ENCODERS: dict[str, Callable[[str], bytes]] = {
    "raw": str.encode,
    "json": lambda text: json.dumps(text)[1:-1].encode(),
    "json, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1].encode(),
    "url": lambda text: quote(text, safe="").encode(),
    "url, lower case": lambda text: "".join(
        f"%{b:02x}" if f"%{b:02X}" in quote(bytes([b])) else chr(b) for b in text.encode()
    ).encode(),
    "form": lambda text: quote_plus(text).encode(),
    "shell": lambda text: text.replace("'", "'\"'\"'").encode(),
    "set -x": lambda text: text.replace("'", "'\\''").encode(),
    "base64": lambda text: _fixed(text, 0),
    "base64 after 1": lambda text: _fixed(text, 1),
    "base64 after 2": lambda text: _fixed(text, 2),
    "url-safe base64": lambda text: _fixed(text, 0).translate(bytes.maketrans(b"+/", b"-_")),
}


def _fixed(text: str, before: int) -> bytes:
    """The characters of base64 that hold nothing but bits of the secret."""
    raw = text.encode()
    encoded = base64.b64encode(b"x" * before + raw + b"yy")
    return encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]


def _masked(redactor: Redactor, pieces: list[bytes]) -> bytes:
    stream = redactor.stream()
    return b"".join([*map(stream.feed, pieces), stream.flush()])


def _cut(text: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=500, deadline=None)  # the machine may be busy
@given(
    secret=SECRETS,
    others=st.lists(SECRETS, max_size=3),
    encoder=st.sampled_from(sorted(ENCODERS)),
    around=st.tuples(st.text(CHARACTERS, max_size=20), st.text(CHARACTERS, max_size=20)),
    places=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_a_secret_in_any_form_and_any_pieces_is_never_visible(
    secret: str, others: list[str], encoder: str, around: tuple[str, str], places: list[int]
) -> None:
    redactor = Redactor()
    for one in (secret, *others):
        redactor.add(one)
    shown = ENCODERS[encoder](secret)
    text = around[0].encode() + shown + around[1].encode()
    masked = _masked(redactor, _cut(text, places))
    assert shown not in masked
    assert b"***" in masked
    assert not any(form in masked for form in redactor._forms)


@settings(max_examples=500, deadline=None)  # the machine may be busy
@given(
    secrets=st.lists(st.text("ab", min_size=4, max_size=9), min_size=1, max_size=4),
    text=st.text("ab", max_size=60),
    places=st.lists(st.integers(0, 100), max_size=20),
)
@example(secrets=["abba", "aabbaa"], text="aaabbaa", places=[6])
@example(secrets=["bbab", "bbaba", "abbaba"], text="abbabaaaa", places=[5])
def test_what_comes_out_does_not_depend_on_the_pieces(secrets: list[str], text: str, places: list[int]) -> None:
    """Two letters only: secrets overlap each other and themselves, and begin everywhere."""
    redactor = Redactor()
    for secret in secrets:
        redactor.add(secret)
    whole = _masked(redactor, [text.encode()])
    assert _masked(redactor, _cut(text.encode(), places)) == whole
    assert redactor.redact(text).encode() == whole
    assert not any(form in whole for form in redactor._forms)


@settings(max_examples=500, deadline=None)  # the machine may be busy
@given(secrets=st.lists(st.text("ab", min_size=4, max_size=9), min_size=1, max_size=4), text=st.text("ab", max_size=60))
def test_exactly_the_bytes_of_secrets_are_masked(secrets: list[str], text: str) -> None:
    """Against the plainest way to say it: a byte is hidden when some form covers it."""
    redactor = Redactor()
    for secret in secrets:
        redactor.add(secret)
    covered: list[tuple[int, int]] = []
    for start in range(len(text)):
        ends = [start + len(form) for form in redactor._forms if text.encode().startswith(form, start)]
        if ends:
            if covered and start < covered[-1][1]:
                covered[-1] = (covered[-1][0], max(covered[-1][1], *ends))
            else:
                covered.append((start, max(ends)))
    expected, done = "", 0
    for start, end in covered:
        expected, done = expected + text[done:start] + "***", end
    assert redactor.redact(text) == expected + text[done:]


@settings(max_examples=500, deadline=None)  # the machine may be busy
@given(
    secrets=st.lists(SECRETS, max_size=4),
    text=st.binary(max_size=200),
    places=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_text_without_secrets_passes_byte_for_byte(secrets: list[str], text: bytes, places: list[int]) -> None:
    redactor = Redactor()
    for secret in secrets:
        redactor.add(secret)
    assume(not any(form in text for form in redactor._forms))
    assert _masked(redactor, _cut(text, places)) == text


@settings(max_examples=500, deadline=None)  # the machine may be busy
@given(text=st.text(st.characters(), max_size=50))
def test_any_text_even_with_lone_surrogates_comes_back_the_same(text: str) -> None:
    redactor = Redactor()
    redactor.add("a secret of some length")
    assert redactor.redact(text) is text


def test_control_masking_piece_by_piece_shows_a_secret_that_lies_across_two() -> None:
    """Negative control: without the held-back tail the same stream shows the secret."""
    redactor = Redactor()
    redactor.add("hunter2-and-more")
    pieces = [b"password: hunter2-", b"and-more\n"]
    careless = b"".join(redactor.redact(piece.decode()).encode() for piece in pieces)
    assert b"hunter2-and-more" in careless
    assert _masked(redactor, pieces) == b"password: ***\n"


@pytest.mark.parametrize("encoder", sorted(set(ENCODERS) - {"raw"}))
def test_control_the_raw_form_alone_shows_encoded_secrets(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with the raw form only, every other encoder gets the secret out."""
    secret = 'it\'s a "secret"/ö\n with ? all'
    shown = ENCODERS[encoder](secret)
    careful = Redactor()
    careful.add(secret)
    assert shown not in _masked(careful, [shown])
    monkeypatch.setattr(redaction, "forms", lambda text: frozenset({to_bytes(text)}))
    careless = Redactor()
    careless.add(secret)
    assert _masked(careless, [shown]) == shown


def test_a_live_log_is_not_held_back_beyond_what_may_become_a_secret() -> None:
    redactor = Redactor()
    redactor.add("secret-token")
    stream = redactor.stream()
    assert stream.feed(b"a line\n") == b"a line\n"
    assert stream.feed(b"next: sec") == b"next: "
    assert stream.feed(b"ond\n") == b"second\n"
    assert stream.feed(b"secret-toke") == b""
    assert stream.feed(b"n!") == b"***!"
    assert stream.flush() == b""


def test_a_run_of_overlapping_secrets_is_shown_as_one_mask_and_not_held_back() -> None:
    redactor = Redactor()
    redactor.add("aaaa")
    stream = redactor.stream()
    shown = b"".join(stream.feed(b"a" * 1000) for _ in range(20))
    assert shown == b"***"
    assert len(stream._held) < 4
    assert stream.feed(b"b") + stream.flush() == b"b"


def test_a_secret_learned_while_a_stream_runs_is_masked_from_then_on() -> None:
    redactor = Redactor()
    stream = redactor.stream()
    assert stream.feed(b"tomorrow ") == b"tomorrow "
    redactor.add("tomorrow")
    assert stream.feed(b"tomorrow ") == b"*** "


def test_a_scoped_redactor_masks_its_own_secrets_and_those_of_the_wider_one_also_later() -> None:
    wide = Redactor()
    wide.add("global-one")
    narrow = wide.scoped(["build-secret"])
    assert narrow.redact("global-one build-secret") == "*** ***"
    wide.add("global-two")
    assert narrow.redact("global-two") == "***"
    assert wide.redact("build-secret") == "build-secret"


def test_a_build_that_brings_nothing_new_costs_nothing_new() -> None:
    wide = Redactor()
    wide.add("global-one")
    assert wide.scoped(["global-one"]).patterns() is wide.patterns()
    assert wide.scoped(["another"]).patterns() is not wide.patterns()


def test_add_says_when_a_secret_is_too_short_to_be_masked() -> None:
    redactor = Redactor()
    assert not redactor.add("abc")
    assert redactor.redact("abc") == "abc"
    assert redactor.add("abcd")


def test_a_secret_that_is_no_utf8_in_the_environment_is_masked_as_the_bytes_it_is() -> None:
    redactor = Redactor()
    redactor.add(b"\xff\xfe-secret".decode("utf-8", "surrogateescape"))
    assert _masked(redactor, [b"x \xff\xfe-secret y"]) == b"x *** y"


def test_time_grows_with_the_text_and_not_with_its_square_even_for_hostile_text() -> None:
    """Text made of beginnings of secrets: four times as much takes about four times as long."""
    redactor = Redactor()
    for number in range(200):
        redactor.add(f"ghp_abcdefgh{'x' * 200}{number}")
    redactor.add("b" * 5000 + "c")

    def seconds(size: int) -> float:
        text = [b"ghp_abcdefgh" * 512, b"b" * 4096] * size
        started = time.perf_counter()
        _masked(redactor, text)
        return time.perf_counter() - started

    seconds(1)
    assert seconds(16) < 4 * max(min(seconds(4) for _ in range(3)), 0.005) * 3


def test_honest_text_passes_fast() -> None:
    redactor = Redactor()
    for number in range(50):
        redactor.add(f"{number:02d}-a-secret-of-forty-characters-or-so-{number}")
    text = b"2026-03-01T10:00:00Z compiling module number 17 of 400 ... ok, 0.31 s\n" * 1000
    started = time.perf_counter()
    assert _masked(redactor, [text] * 20) == text * 20
    assert len(text) * 20 / (time.perf_counter() - started) > 20e6, "bytes a second"
