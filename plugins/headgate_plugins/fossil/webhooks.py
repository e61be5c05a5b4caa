"""Which delivery of a Fossil server is which event: there is one form, that of our hook; not whether it is genuine."""

from __future__ import annotations

from headgate import api
from headgate_plugins.fossil import converters
from headgate_plugins.fossil.shapes import Received

NOWHERE = "localhost"
"""The host where there is no connection that would say it."""


def read(delivery: api.Delivery) -> api.Reading:
    """What a delivery says, without a connection."""
    return read_at(delivery, NOWHERE)


def read_at(delivery: api.Delivery, host: str) -> api.Reading:
    """What a delivery to a connection with that host says; pure. Raises `Unreadable`, and nothing else."""
    payload = api.read_json(delivery.body, Received)
    try:
        return converters.received(payload, host)
    except ValueError as error:
        raise api.Unreadable(f"the payload cannot be meant: {error}") from None
