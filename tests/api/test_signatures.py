"""Seals over raw bytes; that each check matters is shown by what gets in without it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headgate import api

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
KEY = api.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def test_the_vector_of_githubs_documentation():
    secret = api.Secret("It's a Secret to Everybody")
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert api.check_hmac_sha256(b"Hello, World!", f"sha256={digest}", [secret], prefix="sha256=") == 0


@pytest.mark.parametrize(
    "signature", [None, "", "sha256=", "sha1=abc", "757107", "sha256=é", "SHA256=", "sha256=" + "0" * 64]
)
def test_hmac_refuses_every_other_form(signature):
    with pytest.raises(api.Unauthenticated):
        api.check_hmac_sha256(b"x", signature, [api.Secret("s")], prefix="sha256=")


def test_no_secret_is_never_a_match():
    for call in (
        lambda: api.check_hmac_sha256(b"", api.hmac_sha256_hex(b"", api.Secret("")), []),
        lambda: api.check_token("", [api.Secret("")]),
        lambda: api.check_token("x", []),
        lambda: api.check_standard_webhooks("i", STAMP, "v1,", b"", [], now=NOW),
    ):
        with pytest.raises(api.Unauthenticated):
            call()


def test_the_log_tells_a_wrong_token_from_a_wrong_signature():
    with pytest.raises(api.Unauthenticated, match="the token fits none of the configured secrets"):
        api.check_token("x", [api.Secret("y")])
    with pytest.raises(api.Unauthenticated, match="the signature fits none of the configured secrets"):
        api.check_hmac_sha256(b"x", "0" * 64, [api.Secret("y")])


def sign(body=b"{}", stamp=STAMP, message_id="msg_1"):
    return api.standard_webhooks_signature(message_id, int(stamp), body, KEY)


def check(signatures, *, stamp=STAMP, message_id="msg_1", body=b"{}", now=NOW, secrets=(KEY,)):
    return api.check_standard_webhooks(message_id, stamp, signatures, body, secrets, now=now)


def test_one_of_several_signatures_is_enough_and_the_secret_is_named():
    assert check(f"v1a,abc v1,AAAA {sign()}", secrets=(api.Secret("old"), KEY)) == 1


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_timestamp_within_five_minutes_is_fresh(seconds):
    assert check(sign(), now=NOW + timedelta(seconds=seconds)) == 0


@pytest.mark.parametrize("seconds", [-301, 301, 86400])
def test_a_timestamp_further_off_is_refused(seconds):
    with pytest.raises(api.Unauthenticated, match="five minutes"):
        check(sign(), now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("stamp", ["0" + STAMP, "+" + STAMP, " " + STAMP, STAMP + ".0", "٣" * 10, "", "9" * 400])
def test_another_spelling_of_the_same_number_is_not_what_was_signed(stamp):
    with pytest.raises(api.Unauthenticated):
        check(sign(), stamp=stamp)


def test_a_configured_secret_that_is_no_base64_is_refused_and_not_used_as_text():
    with pytest.raises(api.Unauthenticated, match="not base64"):
        check(sign(), secrets=(api.Secret("whsec_***"),))
