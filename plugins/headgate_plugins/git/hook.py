"""The post-receive script as it is shipped, served for download; not the script itself, which is beside this file."""

from __future__ import annotations

from importlib.resources import files

from headgate import api


def post_receive() -> bytes:
    """The script's text."""
    return files("headgate_plugins.git").joinpath("post-receive").read_bytes()


async def answer_post_receive(request: api.RouteRequest) -> api.RouteResponse:  # noqa: ARG001 - it is always the same
    """For `curl -o hooks/post-receive`."""
    return api.RouteResponse(content_type="text/x-shellscript; charset=utf-8", body=post_receive())
