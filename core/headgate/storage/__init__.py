"""What Headgate remembers: one truth, written by one task; not what the memories mean.

Callers import the module they need, so that the command line does not pay for SQLAlchemy:

| module | what it keeps |
|---|---|
| `database` | opening, locking, reading |
| `writer` | group commit: the only way to write |
| `schema` | `migrate(url)`, `schema_version(url)` |
| `deliveries`, `events`, `decisions` | what came, what it said, what was decided |
| `explanations` | these three read back together: why something was built, or was not |
| `refs`, `polls` | where every head is, and when it was asked for |
| `definitions`, `builds` | job definitions by hash, the queue's state machine |
| `notifications`, `tokens` | news kept until told, who may call the API |

Functions of the aggregates take a connection (see `connection`): a reader's, or the one a unit of the writer is given.
"""
