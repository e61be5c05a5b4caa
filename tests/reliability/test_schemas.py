"""Databases of other versions: an older one is brought up with its rows, a newer one is refused and left alone."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from disks import CONFIG, JOBS, Pushes, built, exit_code
from live import Headgate

from headgate.storage import dialect, schema

CONFIGURATION = 78

pytestmark = pytest.mark.reliability


def revisions() -> list[str]:
    """All there are, oldest first, after none at all."""
    config = Config()
    config.set_main_option("script_location", str(schema._MIGRATIONS))
    return ["base", *(one.revision for one in reversed(list(ScriptDirectory.from_config(config).walk_revisions())))]


def at_revision(file: Path, revision: str) -> None:
    """Make a database as the Headgate of that revision made it."""
    file.parent.mkdir(parents=True)
    config = Config()
    config.set_main_option("script_location", str(schema._MIGRATIONS))
    engine = dialect.sync_engine(f"sqlite+aiosqlite:///{file}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision) if revision != "base" else command.ensure_version(config)
    engine.dispose()


def execute(file: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


DELIVERY = """
INSERT INTO deliveries (id, connection, key, received_at, event, state, reason)
VALUES ('d_of_long_ago', 'hub', 'k', 1735689600000000, 'push', 'ignored', 'kept through all versions')
"""


@pytest.mark.parametrize("revision", revisions())
async def test_an_older_database_is_brought_up_with_its_rows_and_served(tmp_path, revision):
    headgate = Headgate(tmp_path / "headgate", CONFIG, JOBS)
    file = headgate.folder / "data" / "headgate.db"
    at_revision(file, revision)
    kept = revision != "base"
    if kept:
        execute(file, DELIVERY)
    pushes = Pushes(headgate, seed=61)
    try:
        await headgate.start()
        assert (await pushes.post())[0] == 202
        assert set(await built(headgate, pushes.acknowledged)) == set(pushes.acknowledged)
        listed = {one["id"]: one["reason"] for one in await headgate.json("deliveries")}
        assert listed.get("d_of_long_ago") == ("kept through all versions" if kept else None)
        assert await headgate.stop() == 0
    finally:
        headgate.close()
    assert execute(file, "SELECT version_num FROM alembic_version") == [(schema.HEAD,)]
    assert execute(file, "PRAGMA integrity_check") == [("ok",)]


async def test_a_newer_database_is_refused_with_what_to_do_and_left_alone(tmp_path):
    headgate = Headgate(tmp_path / "headgate", CONFIG, JOBS)
    file = headgate.folder / "data" / "headgate.db"
    at_revision(file, schema.HEAD)
    execute(file, "UPDATE alembic_version SET version_num = '9999'")
    before = file.read_bytes()
    try:
        with pytest.raises(AssertionError, match="did not start"):
            await headgate.start()
        assert await exit_code(headgate, within=10) == CONFIGURATION
    finally:
        headgate.close()
    said = headgate.output.read_text()
    assert f"has schema 9999, and this Headgate knows up to {schema.HEAD}" in said
    assert "start that one, or restore a backup" in said
    assert file.read_bytes() == before


async def test_control_a_database_that_lies_about_its_version_is_not_brought_up(tmp_path):
    """Were versions not compared, an older database would be served without the tables it lacks: this one says it is new."""
    headgate = Headgate(tmp_path / "headgate", CONFIG, JOBS)
    file = headgate.folder / "data" / "headgate.db"
    at_revision(file, "base")
    execute(file, "INSERT INTO alembic_version VALUES (?)", schema.HEAD)
    try:
        with pytest.raises(AssertionError, match="did not start"):
            await headgate.start()
    finally:
        headgate.close()
    assert "no such table" in headgate.output.read_text()
