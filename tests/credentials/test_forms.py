"""What counts as a form of a secret."""

from __future__ import annotations

import base64
import json
import shlex
from urllib.parse import quote, quote_plus, urlencode

import pytest

from headgate.credentials.forms import forms

SECRET = """p@ss'w/ö "rd&<+$>~\\*"""
KEY = "-----BEGIN KEY-----\n" + "\n".join(f"line{n}ABCDEFGHIJ" for n in range(9)) + "\n-----END KEY-----\n"


@pytest.mark.parametrize(
    "encoded",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        shlex.quote(SECRET)[1:-1],
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        urlencode({"": SECRET})[1:],
        base64.b64encode(f"user:{SECRET}\n".encode()).decode(),
    ],
)
def test_common_encoders_give_a_form(encoded: str) -> None:
    assert any(form in encoded.encode() for form in forms(SECRET))


@pytest.mark.parametrize("secret", ["", "abc", "   ", "\n\n\n\n\n", "\t \t \t"])
def test_too_little_to_mask_has_no_form(secret: str) -> None:
    assert forms(secret) == frozenset()


def test_blanks_around_a_short_secret_make_it_long_enough() -> None:
    assert b" ab " in forms(" ab ")


def test_the_lines_of_a_key_are_forms_and_its_armour_is_none() -> None:
    found = forms(KEY)
    assert {b"line0ABCDEFGHIJ", b"line8ABCDEFGHIJ"} <= found
    assert b"-----BEGIN KEY-----" not in found


def test_base64_of_a_key_is_found_line_by_line_as_the_base64_command_prints_it() -> None:
    printed = base64.encodebytes(KEY.strip().encode()).splitlines()
    assert len(printed) > 2
    assert all(any(form in line for form in forms(KEY)) for line in printed[:-1])
