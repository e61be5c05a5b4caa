"""Which delivery of a plain git server is which event; not whether it is genuine.

Two forms (docs/providers-git.md): the signed JSON of the post-receive hook, and `notifyCommit`, a request that
only says "look". The latter is what existing hooks send:
https://plugins.jenkins.io/git/#plugin-content-push-notification-from-repository
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from headgate import api
from headgate_plugins.git import converters, shapes
from headgate_plugins.git.place import LOCAL_HOST, Place

NOTIFY = "notifyCommit"
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 16


def read(delivery: api.Delivery) -> api.Reading:
    """What a delivery says, without a connection: hosts are what a `notifyCommit` says, else `localhost`."""
    return read_at(delivery, None)


def read_at(delivery: api.Delivery, place: Place | None) -> api.Reading:
    """What a delivery to a connection at `place` says; pure. Raises `Unreadable`, and nothing else."""
    if delivery.hook == NOTIFY:
        return converters.notification(_argument(delivery, "url"), place)
    payload = api.read_json(delivery.body, shapes.PushPayload)
    try:
        return converters.push(payload, place.host if place else LOCAL_HOST)
    except ValueError as error:
        raise api.Unreadable(f"the payload cannot be meant: {error}") from None


def _argument(delivery: api.Delivery, name: str) -> str:
    """From the query, or from the form of a POST."""
    value = delivery.argument(name)
    content_type = (delivery.header("content-type") or "").partition(";")[0].strip().lower()
    if value is None and content_type == FORM:
        try:
            fields = parse_qsl(delivery.body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
        except ValueError as error:
            raise api.Unreadable(f"the body is no form: {error}") from None
        values = [given for key, given in fields if key == name]
        value = values[0] if len(values) == 1 else None
    if not value:
        raise api.Unreadable(f"the argument `{name}` is missing, empty or doubled")
    return value
