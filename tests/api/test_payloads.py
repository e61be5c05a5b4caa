"""From bytes to a shape: what is let in, what is refused, and that nothing else is raised."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate import api


class Shape(msgspec.Struct):
    a: str
    b: object = None


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"x"}',
        b' {"a":"x", "unknown": [1, 2.5, true, null]}\n',
        '{"a":"é😀"}'.encode(),
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":"\\\\ud800"}',
        b'{"a":"' + b"[" * 100 + b'"}',
        b'{"a":"\\"' + b"{" * 100 + b'"}',
        b'{"a":"x","b":' + b"[" * 63 + b"]" * 63 + b"}",
        b'{"a":"x","b":12345678901234567890123456789012}',
    ],
)
def test_what_is_read(body):
    value = api.read_json(body, Shape)
    assert value.a == json.loads(body)["a"]
    msgspec.json.encode(value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'\xef\xbb\xbf{"a":"x"}', "not JSON"),
        (b'{"a":"x"} {}', "not JSON"),
        (b'{"a":"x","a":"y"}', "'a' stands twice"),
        (b'{"a":"x","b":{"c":1,"c":1}}', "'c' stands twice"),
        (b'{"a":"x","b":NaN}', "NaN is not JSON"),
        (b'{"a":"x","b":Infinity}', "Infinity is not JSON"),
        (b'{"a":"x","b":1e999}', "too large"),
        (b'{"a":"x","b":' + b"1" * 33 + b"}", "more than 32"),
        (b'{"a":"x","b":' + b"[" * 64 + b"]" * 64 + b"}", "deeper than 64"),
        (b"[" * 1_000_000, "deeper than 64"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"a":"x","b":{"\\uDFFF":1}}', "surrogate"),
        (b'{"a":7}', r"\$\.a"),
        (b"{}", "missing required field"),
        (b"null", "form its type promises"),
    ],
)
def test_what_is_refused_and_why(body, message):
    with pytest.raises(api.Unreadable, match=message):
        api.read_json(body, Shape)


def test_the_same_text_twice_is_one_thing_for_who_says_so():
    """Recorded deliveries repeat a line. What differs, or is no text, is refused as ever, and so is all by default."""
    body = b'{"a":"x","b":{"c":"y","d":1,"c":"y"},"a":"x"}'
    assert api.read_plain_json(body, repeated_text=True) == {"a": "x", "b": {"c": "y", "d": 1}}
    with pytest.raises(api.Unreadable, match="stands twice"):
        api.read_plain_json(body)
    for other in (b'{"a":"x","a":"x","a":"y"}', b'{"a":1,"a":1}', b'{"a":"x","a":"x","b":1,"b":1}', b'{"a":{},"a":{}}'):
        with pytest.raises(api.Unreadable, match="stands twice"):
            api.read_plain_json(other, repeated_text=True)


def test_python_alone_would_take_what_we_refuse():
    """The negative control: the standard reader keeps the last of two keys, and reads half a character."""
    assert json.loads('{"a":"x","a":"y"}') == {"a": "y"}
    with pytest.raises(UnicodeEncodeError):
        msgspec.json.encode(json.loads('"\\ud800"'))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_unreadable(body):
    try:
        api.read_plain_json(body)
    except api.Unreadable:
        return


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab\\"[{', max_size=4), inner, max_size=4),
)


@given(JSON, st.booleans())
def test_what_json_writes_we_read_as_it_was(value, ascii_only):
    assert api.read_plain_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


def test_a_large_body_takes_its_length_and_no_more():
    body = json.dumps({"a": "x", "b": [{"id": n, "text": 'say "hi" \\ [{'} for n in range(50_000)]}).encode()
    started = time.monotonic()
    api.read_json(body, Shape)
    assert time.monotonic() - started < 5
