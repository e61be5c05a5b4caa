"""The plugins Headgate ships: registered by entry points like a stranger's, importing `headgate.api` only."""
