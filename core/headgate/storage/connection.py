"""What an aggregate's function is given to speak SQL with; not when it is called, nor in which transaction.

A unit of the writer and a reader look the same to a function that only asks: both have `execute`. Behind a reader is
aiosqlite, so that the event loop goes on meanwhile. Behind a unit is the writer's own thread and a connection of
the standard library's driver: `execute` has its answer before anybody could wait. One hop a transaction instead of
four a statement makes a group of ten statements about twenty times cheaper.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Protocol, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from headgate.storage.dialect import together

T = TypeVar("T")

Row = Mapping[str, Any]


class Reading(Protocol):
    """Asks the database."""

    async def execute(self, statement: sa.Executable, parameters: Any = None, /) -> sa.CursorResult[Any]:
        """Run one statement; `parameters` as SQLAlchemy takes them."""


class Writing(Reading, Protocol):
    """Asks and changes the database, inside a unit of the writer."""

    async def execute_many(self, many: Many, rows: Sequence[Row], /) -> int:
        """Run a statement for each of `rows`, and say how many rows of the table that wrote."""


class Many:
    """A statement that is run for many rows: compiled once, each row then a plain tuple, many rows at a time.

    SQLAlchemy looks at every row anew (which of its keys are columns, how each is converted); for the rows that every
    delivery writes that costs more than the database. Here the keys are settled when it is compiled. And the driver
    lets go of Python's lock for every row: taking it back from a busy event loop costs more than a row, so an INSERT
    takes its rows by the dozen. What goes wrong is the driver's own error.
    """

    def __init__(self, statement: sa.Insert | sa.Update) -> None:
        """An INSERT names all columns of its table, an UPDATE its `bindparam`s; a row has exactly these keys."""
        self._statement = statement
        self._compiled: _Compiled | None = None

    def calls(self, dialect: Dialect, rows: Sequence[Row]) -> Iterator[tuple[str, Sequence[Any]]]:
        """What to hand to the driver, one after another: a text and its parameters."""
        if self._compiled is None:
            self._compiled = _compile(self._statement, dialect)
        parameters = [self._compiled.parameters(row) for row in rows]
        start = 0
        for size in AT_ONCE if self._compiled.values else (1,):
            while len(parameters) - start >= size:
                yield self._compiled.of_many(size), tuple(chain.from_iterable(parameters[start : start + size]))
                start += size


AT_ONCE = (64, 32, 16, 8, 4, 2, 1)
"""Rows of one INSERT: few sizes, so that the driver keeps every statement prepared; 64 builds have 2,400 values."""


class _Compiled:
    """A statement's text, and what makes its parameters of a row."""

    def __init__(self, text: str, names: Sequence[str], converted: Sequence[tuple[int, Callable[[Any], Any]]]) -> None:
        self.text = text
        self.values = f"VALUES ({', '.join('?' * len(names))})"
        if self.values not in text:  # an UPDATE, or another way to write parameters
            self.values = ""
        self._pick = itemgetter(*names)
        self._converted = converted
        self._texts = {1: text}

    def of_many(self, rows: int) -> str:
        """The text for so many rows."""
        text = self._texts.get(rows)
        if text is None:
            text = self.text.replace(self.values, ", ".join([self.values, *[self.values[7:]] * (rows - 1)]))
            self._texts[rows] = text
        return text

    def parameters(self, row: Row) -> Sequence[Any]:
        """The row as the driver takes it."""
        values = list(self._pick(row))
        for place, convert in self._converted:
            values[place] = convert(values[place])
        return tuple(values)


def _compile(statement: sa.Insert | sa.Update, dialect: Dialect) -> _Compiled:
    keys = [column.name for column in statement.table.columns] if isinstance(statement, sa.Insert) else None
    compiled: Any = statement.compile(dialect=dialect, column_keys=keys)
    names: list[str] = compiled.positiontup
    types = [compiled.binds[name].type.dialect_impl(dialect) for name in names]
    converted = [
        (place, convert)
        for place, one in enumerate(types)
        if not isinstance(one, sa.Boolean) and (convert := one.bind_processor(dialect)) is not None
    ]
    return _Compiled(str(compiled), names, converted)


class Together:
    """A question whose rows come as one text, for units: the driver lets go of Python's lock for every row it gives.

    On a busy server each of those times may cost a millisecond, and all that waits for the writer waits for it.
    """

    def __init__(self, query: sa.Select[Any]) -> None:
        """`query` gives texts, numbers, and what is kept as such; no bytes."""
        self._statement = together(query)
        self._names = [column.name for column in query.selected_columns]
        self._types = [column.type for column in query.selected_columns]
        self._converted: list[tuple[str, Callable[[Any], Any]]] | None = None

    async def ask(self, conn: Reading, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows, each by the names of its columns, in no order."""
        result = await conn.execute(self._statement, parameters)
        if self._converted is None:
            self._converted = _results(self._names, self._types, result.dialect)
        rows = [dict(zip(self._names, row, strict=True)) for row in msgspec.json.decode(result.scalar_one())]
        for row in rows:
            for name, convert in self._converted:
                row[name] = convert(row[name])
        return rows


def _results(
    names: Sequence[str], types: Sequence[sa.types.TypeEngine[Any]], dialect: Dialect
) -> list[tuple[str, Callable[[Any], Any]]]:
    return [
        (name, convert)
        for name, one in zip(names, types, strict=True)
        if (convert := one.dialect_impl(dialect).result_processor(dialect, None)) is not None
    ]


class UnitConnection:
    """`Writing` over a connection of the thread that runs the unit."""

    def __init__(self, connection: sa.Connection) -> None:
        """`connection` in a transaction; only this thread may use it."""
        self._connection = connection

    async def execute(self, statement: sa.Executable, parameters: Any = None, /) -> sa.CursorResult[Any]:
        """See `Reading`."""
        return self._connection.execute(statement, parameters)

    async def execute_many(self, many: Many, rows: Sequence[Row], /) -> int:
        """See `Writing`."""
        driver: Any = self._connection.connection.driver_connection
        calls = many.calls(self._connection.dialect, rows)
        return sum(driver.execute(text, parameters).rowcount for text, parameters in calls)


def run_unit(unit: Coroutine[Any, Any, T]) -> T:
    """Run a unit to its end in this thread. `TypeError` when it waits for anything: nothing here could wake it."""
    try:
        unit.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    unit.close()
    raise TypeError(f"{unit!r} waits for something that is not the database; do that before or after the transaction")
