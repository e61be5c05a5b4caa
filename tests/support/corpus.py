"""Recorded deliveries and signature vectors, kept beside the checkout; not part of it, for they are others' work."""

from __future__ import annotations

import os
from pathlib import Path

from needs import need_folder

_CHECKOUT = Path(__file__).resolve().parent.parent.parent


def corpus_path() -> Path:
    """The corpus folder: HEADGATE_CORPUS, else `../shared/corpus`; a test that needs it is skipped without it."""
    given = os.environ.get("HEADGATE_CORPUS")
    return need_folder(Path(given) if given else _CHECKOUT.parent / "shared" / "corpus", "the corpus of deliveries")
