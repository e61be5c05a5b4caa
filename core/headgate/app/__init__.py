"""The composition root: the only place that knows every room, and that nobody receives as an argument."""

from headgate.app.server import serve

__all__ = ["serve"]
