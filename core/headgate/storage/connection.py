"""What an aggregate's function is given to speak SQL with; not when it is called, nor in which transaction.

A unit of the writer and a reader look the same to a function that only asks: both have `execute`. Behind a reader is
aiosqlite, so that the event loop goes on meanwhile. Behind a unit is the writer's own thread and a connection of
the standard library's driver: `execute` has its answer before anybody could wait. One hop a transaction instead of
four a statement makes a group of ten statements about twenty times cheaper.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

T = TypeVar("T")

Row = Mapping[str, Any]


class Reading(Protocol):
    """Asks the database."""

    async def execute(self, statement: sa.Executable, parameters: Any = None, /) -> sa.CursorResult[Any]:
        """Run one statement; `parameters` as SQLAlchemy takes them."""


class Writing(Reading, Protocol):
    """Asks and changes the database, inside a unit of the writer."""

    async def execute_many(self, many: Many, rows: Sequence[Row], /) -> None:
        """Run a statement for each of `rows`."""


class Many:
    """A statement that is run for many rows: compiled once, each row then a plain tuple.

    SQLAlchemy looks at every row anew (which of its keys are columns, how each is converted); for the rows that every
    delivery writes that costs more than the database. Here the keys are settled when it is compiled.
    """

    def __init__(self, statement: sa.Insert | sa.Update) -> None:
        """An INSERT names all columns of its table, an UPDATE its `bindparam`s; a row has exactly these keys."""
        self._statement = statement
        self._compiled: tuple[str, Callable[[Row], Sequence[Any]]] | None = None

    def compiled(self, dialect: Dialect) -> tuple[str, Callable[[Row], Sequence[Any]]]:
        """The text, and what makes its parameters of a row."""
        if self._compiled is None:
            self._compiled = self._compile(dialect)
        return self._compiled

    def _compile(self, dialect: Dialect) -> tuple[str, Callable[[Row], Sequence[Any]]]:
        table = self._statement.table
        keys = [column.name for column in table.columns] if isinstance(self._statement, sa.Insert) else None
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=keys)
        names: list[str] = compiled.positiontup
        types = [compiled.binds[name].type.dialect_impl(dialect) for name in names]
        converted = [
            (place, convert)
            for place, one in enumerate(types)
            if not isinstance(one, sa.Boolean) and (convert := one.bind_processor(dialect)) is not None
        ]
        pick = itemgetter(*names)

        def parameters(row: Row) -> Sequence[Any]:
            values = list(pick(row))
            for place, convert in converted:
                values[place] = convert(values[place])
            return tuple(values)

        return str(compiled), parameters


class UnitConnection:
    """`Writing` over a connection of the thread that runs the unit."""

    def __init__(self, connection: sa.Connection) -> None:
        """`connection` in a transaction; only this thread may use it."""
        self._connection = connection

    async def execute(self, statement: sa.Executable, parameters: Any = None, /) -> sa.CursorResult[Any]:
        """See `Reading`."""
        return self._connection.execute(statement, parameters)

    async def execute_many(self, many: Many, rows: Sequence[Row], /) -> None:
        """See `Writing`."""
        text, parameters = many.compiled(self._connection.dialect)
        self._connection.exec_driver_sql(text, [parameters(row) for row in rows])


def run_unit(unit: Coroutine[Any, Any, T]) -> T:
    """Run a unit to its end in this thread. `TypeError` when it waits for anything: nothing here could wake it."""
    try:
        unit.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    unit.close()
    raise TypeError(f"{unit!r} waits for something that is not the database; do that before or after the transaction")
