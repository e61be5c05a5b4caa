"""How fast secrets are masked: honest text, text full of secrets, text made of their beginnings.

.venv/bin/python benchmarks/masking.py
"""

from __future__ import annotations

import time

from headgate.credentials.redaction import Redactor

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


def main() -> None:
    redactor = Redactor()
    for number in range(SECRETS):
        redactor.add(f"ghp_{number:03d}{'abcdefgh' * 4}{number}")
    started = time.perf_counter()
    redactor.redact("")
    print(f"{SECRETS} secrets made ready in {(time.perf_counter() - started) * 1e3:.1f} ms")
    texts = {
        "honest text": HONEST,
        "a secret in every line": HONEST[:-1] + f" ghp_007{'abcdefgh' * 4}7\n".encode(),
        "nothing but beginnings of secrets": b"ghp_007abcdefg ",
    }
    for name, line in texts.items():
        for piece in (100, 65_536):
            print(f"{name}, pieces of {piece} bytes: {speed(redactor, line, piece):.0f} MB/s")


if __name__ == "__main__":
    main()
