"""What can go wrong with the database, by what a caller can do about it; not SQL's own exceptions.

```
StorageError
├── Busy            too many writes wait: answer 503 and let the sender retry
├── StorageFull     the disk is full: nothing of the group was written, the next one may fit
├── StorageFailed   an I/O error or corruption: nothing is acknowledged any more, the process ends
├── StorageClosed   the writer was closed; nothing was written
└── StorageRefused  the database cannot be opened: newer schema, another process, no database at all
    └── StorageDamaged  because its file is damaged
```
"""

from __future__ import annotations

from headgate.api import HeadgateError


class StorageError(HeadgateError):
    """The root of this room's errors."""


class Busy(StorageError):
    """Too many writes are waiting, or another program holds the database; nothing was written."""


class StorageFull(StorageError):
    """The disk is full; nothing was written, and the database is as it was."""


class StorageFailed(StorageError):
    """The database failed below us. After a failed fsync a later commit can look fine and not be: so none is tried."""


class StorageClosed(StorageError):
    """The writer was closed before this was written."""


class StorageRefused(StorageError):
    """The database cannot be opened; the message says what to do."""


class StorageDamaged(StorageRefused):
    """The database's file is damaged: somebody must restore it."""
