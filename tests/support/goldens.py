"""What others made of recorded deliveries and API answers, compared with ours field by field; not what either means."""

from __future__ import annotations

import json

from corpus import corpus_path

from headgate.api.testing.recordings import Recording


def rows(**wanted):
    """The rows of the corpus's manifest that have these values."""
    manifest = corpus_path() / "manifest.jsonl"
    found = [json.loads(line) for line in manifest.read_text().splitlines()]
    return [row for row in found if all(row.get(key) == value for key, value in wanted.items())]


def body_of(row):
    """The recorded bytes."""
    return (corpus_path() / row["file"]).read_bytes()


def golden_of(row):
    """What was made of them, keys in lower case, for Go reads them in any; `None` where nothing is kept."""
    return lowered(json.loads((corpus_path() / row["golden"]).read_text())) if "golden" in row else None


def lowered(value):
    """The same JSON with keys in lower case."""
    if isinstance(value, dict):
        return {key.lower(): lowered(inner) for key, inner in value.items()}
    return [lowered(inner) for inner in value] if isinstance(value, list) else value


def recording(path, headers):
    """A payload beside the tests that compare it with a snapshot, as the contract of providers reads it."""
    folder = path.parent.parent / "__snapshots__" / "test_webhooks"
    snapshot = json.loads((folder / f"test_each_payload_means_what_its_golden_says[{path.stem}].json").read_text())
    golden = {"ignored": snapshot["reason"]} if "reason" in snapshot else snapshot
    return Recording(path.read_bytes(), headers, golden)


class Differences:
    """A table of deliberate differences: `(file or hook type, field) -> reason`. One that no longer differs fails."""

    def __init__(self, table):
        self._table = table
        self._used = set()
        self._unexplained = []
        self.compared = 0

    def note(self, row, pairs):
        """`pairs`: field -> (ours, theirs) of one file; missing is the zero value in theirs, so all falsy are one."""
        self.compared += 1
        hook = (row.get("hook_type") or "").removeprefix("scm.")
        for field, (ours, theirs) in pairs.items():
            if ours == theirs or (not ours and not theirs):
                continue
            key = next((key for key in ((row["file"], field), (hook, field)) if key in self._table), None)
            if key is None:
                self._unexplained.append(f"{row['file']}: {field}: ours {ours!r}, theirs {theirs!r}")
            self._used.add(key)

    def check(self):
        """Nothing unexplained, and no row without its difference."""
        assert not self._unexplained, "\n".join(self._unexplained)
        assert set(self._table) <= self._used, f"no longer different: {set(self._table) - self._used}"
