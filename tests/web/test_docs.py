"""docs/http.md names every route with its permission."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "http.md"
MARK = "tests/web/test_docs.py prints it when it is out of date -->\n"


async def test_the_table_of_routes_is_the_servers(server):
    rows = [
        f"| `{route.method} {route.path}` | `{route.permission}` | {route.summary} |"
        for route in server.app.table.routes
        if route.published
    ]
    table = "\n".join(["", "| route | permission | |", "|---|---|---|", *rows, ""])
    written = PAGE.read_text().partition(MARK)[2]
    assert written == table, f"put this below the mark in {PAGE.name}:\n{table}"
