"""Which form of a program runs: the short one with every change, the long one with `HEADGATE_SOAK=1` (`make soak`)."""

from __future__ import annotations

import os

LONG = os.environ.get("HEADGATE_SOAK") == "1"
"""Read when tests are collected: later no variable of ours is left (see tests/conftest.py)."""
