"""`headgate`, with one protection off: an I/O error of the database is taken for something that passes."""

from __future__ import annotations

import sqlite3

from headgate.cli import main
from headgate.storage import dialect
from headgate.storage.errors import Busy

dialect._ERRORS[sqlite3.SQLITE_IOERR] = Busy
main()
