"""Column types: how times and values stand in the database; not which columns there are."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from headgate.storage.ids import EPOCH, microseconds


class Moment(TypeDecorator[datetime]):
    """Aware UTC as whole microseconds since 1970: sorts, compares and travels between databases."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database; a naive datetime is refused."""
        del dialect
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        del dialect
        return None if value is None else EPOCH + timedelta(microseconds=value)


class Json(TypeDecorator[Any]):
    """A value of type `of` as JSON text; what comes back is that type again, checked."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, of: Any) -> None:
        """`of`: anything msgspec can decode."""
        super().__init__()
        self.of = of
        self._decoder = msgspec.json.Decoder(of)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """To the database."""
        del dialect
        if value is None:
            return None
        try:
            return msgspec.json.encode(value).decode()
        except UnicodeEncodeError:  # header bytes that are no UTF-8 came as lone surrogates; evidence keeps them
            return json.dumps(msgspec.to_builtins(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """From the database."""
        del dialect
        if value is None:
            return None
        try:
            return self._decoder.decode(value)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # lone surrogates, see above
            return msgspec.convert(json.loads(value), self.of)


def storable(text: str) -> str:
    """`text` without lone surrogates, which no database takes: a header's odd bytes are spelt out."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
