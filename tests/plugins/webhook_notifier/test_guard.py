"""Where an outgoing webhook may connect to, whatever its URL and its DNS say."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from headgate.api import Refused, Unavailable
from headgate.api.client import AddressRefused, address_refusal, guarded_socket
from headgate_plugins import webhook_notifier

PUBLIC = ["8.8.8.8", "1.1.1.1", "140.82.121.4", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
PRIVATE = ["127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "::1", "fd12::1", "100.64.0.1",
           "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "198.18.0.1", "fec0::1"]  # fmt: skip
NEVER = ["169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "ff02::1",
         "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "::ffff:169.254.169.254",
         "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    assert address_refusal(address, allow_private=False) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_pass_only_when_the_admin_says_so(address: str) -> None:
    assert "private" in address_refusal(address, allow_private=False)
    assert address_refusal(address, allow_private=True) is None


def test_control_the_standard_library_takes_site_local_addresses_for_public() -> None:
    assert ipaddress.ip_address("fec0::1").is_global


@pytest.mark.parametrize("address", NEVER)
def test_metadata_and_addresses_of_no_machine_never_pass(address: str) -> None:
    assert address_refusal(address, allow_private=False)
    assert address_refusal(address, allow_private=True)


def test_the_socket_of_a_refused_address_is_never_made() -> None:
    with pytest.raises(AddressRefused):
        guarded_socket(allow_private=False)((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))
    guarded_socket(allow_private=False)((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))).close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
async def test_no_spelling_of_this_machine_is_connected_to(opened: Any, receiver: Any, news: Any, host: str) -> None:
    async with opened() as notifier:
        with pytest.raises((Refused, Unavailable), match=r"may not be connected to|cannot be reached|no host"):
            await notifier.tell(news(f"http://{host}:{receiver.port}/", plain_http=True), None)
    assert receiver.requests == []


async def test_control_without_the_guard_the_same_request_arrives(
    opened: Any, receiver: Any, news: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    monkeypatch.setattr(webhook_notifier, "guarded_socket", lambda **_: None)
    async with opened() as notifier:
        await notifier.tell(news(receiver.url), None)
    assert len(receiver.requests) == 1


async def test_a_name_that_changes_its_address_after_the_first_look_gains_nothing(
    opened: Any, receiver: Any, news: Any
) -> None:
    """DNS rebinding: whatever earlier answers were, the address that would be connected to is the one judged."""

    class Rebinding:
        def __init__(self) -> None:
            self.asked = 0

        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[dict[str, Any]]:
            self.asked += 1
            address = "127.0.0.1"
            return [{"hostname": host, "host": address, "port": port, "family": socket.AF_INET, "proto": 6, "flags": 0}]

        async def close(self) -> None: ...

    async with opened() as notifier:
        resolver = notifier._session.connector._resolver = Rebinding()
        with pytest.raises(Refused, match="private address"):
            await notifier.tell(news(f"http://rebind.example:{receiver.port}/", plain_http=True), None)
    assert resolver.asked == 1
    assert receiver.requests == []


async def test_the_refusal_is_final_and_says_which_setting_would_open_the_door(
    opened: Any, receiver: Any, news: Any
) -> None:
    async with opened() as notifier:
        with pytest.raises(Refused, match="allow_private"):
            await notifier.tell(news(receiver.url), None)
