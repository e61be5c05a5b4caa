"""The after-receive script as it is shipped, served for download; not the script itself, which is beside this file."""

from __future__ import annotations

from importlib.resources import files

from headgate import api


def after_receive() -> bytes:
    """The script's text."""
    return files("headgate_plugins.fossil").joinpath("after-receive").read_bytes()


async def answer_after_receive(request: api.RouteRequest) -> api.RouteResponse:  # noqa: ARG001 - it is always the same
    """For `curl -o after-receive`."""
    return api.RouteResponse(content_type="text/x-shellscript; charset=utf-8", body=after_receive())
