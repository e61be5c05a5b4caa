"""The OpenAPI document: complete, of version 3.1, and kept to, as schemathesis finds by asking a real server."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import msgspec
import pytest
from web_server import github_headers, push_body

from headgate.web.openapi import openapi_document
from headgate.web.routes import OPEN, json_reply

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))


async def document(server):
    async with server.get("/api/v1/openapi.json") as answer:
        return await answer.json()


async def test_the_document_names_every_route_with_its_permission_and_errors(server):
    described = await document(server)
    assert described["openapi"] == "3.1.0"
    for route in server.app.table.routes:
        operation = described["paths"][route.path][route.method.lower()]
        assert operation["summary"] == route.summary
        if route.permission == OPEN:
            assert "security" not in operation
        else:
            assert operation["security"] == [{"token": []}]
            assert operation["x-permission"] == route.permission
            assert {"401", "403"} <= set(operation["responses"])
        declared = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", route.path))
    assert described == json.loads(msgspec.json.encode(openapi_document(server.app.table.routes, version="0.0.1")))


async def test_every_reference_leads_somewhere_and_ids_are_unique(server):
    described = await document(server)
    references = set(re.findall(r"'#/components/schemas/([^']+)'", repr(described)))
    assert references == set(described["components"]["schemas"])
    ids = [operation["operationId"] for path in described["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))


async def schemathesis(server, *arguments):
    """Its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        SCHEMATHESIS,
        "run",
        f"{server.url}/api/v1/openapi.json",
        "--header",
        f"Authorization: Bearer {server.admin}",
        "--checks=all",
        "--phases=examples,coverage,fuzzing",
        "--max-examples=10",
        "--seed=1",
        "--no-color",
        "--warnings=off",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=server.parts.settings.data,
    )
    try:
        async with asyncio.timeout(110):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, output.decode()


@pytest.mark.timeout(180)
async def test_the_server_keeps_to_its_document(server):
    """All of schemathesis' checks, on all routes but the stream that has no end."""
    await server.parts.plan()
    body = push_body()
    async with server.deliver(body, github_headers(body)) as answer:
        assert answer.status == 202
    code, output = await schemathesis(server, "--exclude-path=/api/v1/builds/events")
    assert code == 0, output
    asked = int(re.search(r"(\d+) generated", output)[1])
    assert asked > 500


async def test_schemathesis_would_notice_an_answer_of_another_shape(server):
    """The negative control of the test above."""

    async def other(_):
        return json_reply({"items": 3})

    for route in server.app.table.routes:
        if route.path == "/api/v1/plugins":
            object.__setattr__(route, "answer", other)
    code, output = await schemathesis(server, "--include-path=/api/v1/plugins")
    assert code == 1
    assert "is not of type" in output
