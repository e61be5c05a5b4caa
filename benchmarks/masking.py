"""How fast secrets are masked: honest text, text full of secrets, text made of their beginnings.

.venv/bin/python benchmarks/masking.py
"""

from __future__ import annotations

import sys
import time

from headgate.credentials.redaction import Redactor
from results import Beside, Figure, program

SECRETS = 100
SIZE = 20_000_000
HONEST = b"2026-03-01T10:00:00Z compiling module number 17 of 400 ... ok, 0.31 s\n"


def speed(redactor: Redactor, line: bytes, piece: int) -> float:
    """MB a second, `line` over and over in pieces of `piece` bytes."""
    text = (line * (piece // len(line) + 1))[:piece]
    stream = redactor.stream()
    stream.feed(text)
    rounds = max(1, SIZE // 20 // piece)
    started = time.perf_counter()
    for _ in range(rounds):
        stream.feed(text)
    return rounds * piece / (time.perf_counter() - started) / 1e6


def replacing(secrets: list[str], line: bytes, piece: int) -> float:
    """MB a second without forms, without streams: a secret that is cut in two would be shown."""
    text = (line * (piece // len(line) + 1))[:piece]
    found = [secret.encode() for secret in secrets]
    rounds = max(1, SIZE // 20 // piece)
    started = time.perf_counter()
    for _ in range(rounds):
        masked = text
        for secret in found:
            masked = masked.replace(secret, b"***")
    return rounds * piece / (time.perf_counter() - started) / 1e6


def measure(secrets: int = SECRETS) -> list[Figure]:
    """Each text in small and in large pieces, beside the simplest way."""
    redactor = Redactor()
    known = [f"ghp_{number:03d}{'abcdefgh' * 4}{number}" for number in range(secrets)]
    for secret in known:
        redactor.add(secret)
    redactor.redact("")  # makes them ready
    texts = {
        "honest text": HONEST,
        "a secret in every line": HONEST[:-1] + f" ghp_007{'abcdefgh' * 4}7\n".encode(),
        "nothing but beginnings of secrets": b"ghp_007abcdefg ",
    }
    return [
        Figure(
            name=f"{name}, pieces of {piece} bytes",
            value=speed(redactor, line, piece),
            unit="MB/s",
            better="higher",
            beside=(Beside(name="bytes.replace for each secret", value=replacing(known, line, piece)),),
        )
        for name, line in texts.items()
        for piece in (100, 65_536)
    ]


if __name__ == "__main__":
    sys.exit(program(measure))
