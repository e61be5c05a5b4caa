"""Migrations: they end where the tables are, in one transaction, and know a stranger when they see one."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import warnings

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from headgate.storage import dialect, schema
from headgate.storage.errors import StorageRefused
from headgate.storage.schema import HEAD, migrate, schema_version
from headgate.storage.tables import metadata


def differences(url):
    engine = dialect.sync_engine(url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    engine.dispose()
    return found


def execute(url, statement):
    connection = sqlite3.connect(dialect.file_of(url))
    with connection:
        connection.execute(statement)
    connection.close()


def test_a_fresh_database_is_what_the_tables_say(url):
    assert schema_version(url) == HEAD
    assert differences(url) == []


@pytest.mark.parametrize(
    "statement",
    [
        "DROP INDEX builds_queued",
        "ALTER TABLE builds ADD COLUMN extra TEXT",
        "ALTER TABLE tokens RENAME COLUMN name TO title",
        "DROP TABLE polls",
    ],
)
def test_a_difference_would_be_seen(url, statement):
    """Negative control of the comparison above."""
    execute(url, statement)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert differences(url)


def test_what_alembic_cannot_compare_is_there_too(url):
    """Conditions of partial indexes and tables without row ids."""
    connection = sqlite3.connect(dialect.file_of(url))
    made = "\n".join(row[0] or "" for row in connection.execute("SELECT sql FROM sqlite_master ORDER BY name"))
    connection.close()
    assert made.count("WITHOUT ROWID") == sum(
        not table.dialect_options["sqlite"]["with_rowid"] for table in metadata.tables.values()
    )
    assert made.count("WHERE") == sum(
        index.dialect_options["sqlite"]["where"] is not None
        for table in metadata.tables.values()
        for index in table.indexes
    )


def test_our_newest_version_is_alembics(url):
    config = Config()
    config.set_main_option("script_location", str(schema._MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrating_again_changes_nothing(url):
    before = dialect.file_of(url).read_bytes()
    assert migrate(url) == HEAD
    assert dialect.file_of(url).read_bytes() == before


def test_the_version_can_be_asked_while_somebody_writes(url):
    """Negative control within: a second writer would have to wait."""
    writing = sqlite3.connect(dialect.file_of(url), isolation_level=None)
    writing.execute("BEGIN IMMEDIATE")
    assert schema_version(url) == HEAD
    second = sqlite3.connect(dialect.file_of(url), timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        second.execute("BEGIN IMMEDIATE")
    second.close()
    writing.close()


def test_only_the_owner_may_read_the_database(url):
    assert stat.S_IMODE(dialect.file_of(url).stat().st_mode) == 0o600


def test_a_newer_schema_is_refused_and_left_alone(url):
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageRefused, match=rf"has schema 9999, and this Headgate knows up to {HEAD}"):
        migrate(url)
    with pytest.raises(StorageRefused, match="a newer Headgate made it"):
        schema_version(url)


def test_a_migration_that_fails_halfway_leaves_nothing_behind(url, tmp_path, monkeypatch):
    folder = tmp_path / "100% migrations"
    shutil.copytree(schema._MIGRATIONS, folder)
    (folder / "versions" / "9999_breaks.py").write_text(
        f'revision = "9999"\ndown_revision = "{HEAD}"\nfrom alembic import op\nimport sqlalchemy as sa\n'
        'def upgrade():\n    op.create_table("half", sa.Column("id", sa.Text))\n    op.execute("NONSENSE")\n'
    )
    monkeypatch.setattr(schema, "_MIGRATIONS", folder)
    monkeypatch.setattr(schema, "HEAD", "9999")
    with pytest.raises(Exception, match="NONSENSE"):
        migrate(url)
    assert schema_version(url) == HEAD
    connection = sqlite3.connect(dialect.file_of(url))
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone() == (0,)
    connection.close()


def test_there_is_no_version_before_the_first_migration(tmp_path):
    assert schema_version(f"sqlite+aiosqlite:///{tmp_path}/none.db") is None
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://localhost/headgate", "postgresql is not supported yet"),
        ("sqlite+aiosqlite://", "must be a file"),
        ("sqlite+aiosqlite:///:memory:", "must be a file"),
        ("sqlite+aiosqlite:////nonexistent/headgate.db", "folder of the database does not exist: /nonexistent"),
    ],
)
def test_what_we_cannot_open_is_said(url, message):
    with pytest.raises(StorageRefused, match=message):
        migrate(url)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "notes.db").write_text("These are my notes, and no database at all." * 100)
    with pytest.raises(StorageRefused, match="cannot be read as a database: file is not a database"):
        migrate(f"sqlite+aiosqlite:///{tmp_path}/notes.db")
