"""Which account a payload means; GitLab names whoever did something and gives a number for whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterable

from headgate_plugins.gitlab import shapes


def account(user: shapes.User | None) -> str | None:
    """The account name, where it is said."""
    return (user.username or None) if user else None


def who(author_id: int | None, user: shapes.User | None, *, did_it: bool, others: Iterable[shapes.User] = ()) -> str:
    """The account behind `author_id`, empty when the payload does not say it.

    `did_it`: what happened is something its author alone can do, as to open it. Another's name would be worse than
    none: a rule may trust it.
    """
    if did_it:
        return account(user) or ""
    people = [user, *others] if user else [*others]
    return next((account(one) or "" for one in people if author_id is not None and one.id == author_id), "")
