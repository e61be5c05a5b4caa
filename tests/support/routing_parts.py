"""Small rules and jobs, so that routing is tested without any plugin."""

from __future__ import annotations

from dataclasses import dataclass, field

from headgate import api


@dataclass
class Says:
    """A trigger or condition whose answer its block spells out."""

    options: dict
    needs_paths: bool = False

    def match(self, subject):
        if api.event_type(subject.event) != self.options.get("type", "push"):
            return None
        return self.judge(subject)

    def judge(self, subject):
        wanted = self.options.get("author")
        return api.Verdict(
            passed=wanted in (None, subject.author),
            rule=f"says.{wanted}",
            reason=f"author is {subject.author}",
            compared={"expected": wanted, "found": subject.author},
        )


@dataclass
class Kinds:
    triggers: dict = field(
        default_factory=lambda: {
            name: api.TriggerKind(name=name, summary="test", schema=api.EMPTY_SCHEMA, compile=Says)
            for name in ("push", "manual")
        }
    )
    conditions: dict = field(
        default_factory=lambda: {
            "author": api.ConditionKind(name="author", summary="test", schema=api.EMPTY_SCHEMA, compile=Says)
        }
    )


def make_job(name, repository="acme/web", triggers=({"type": "push"},), conditions=(), **more):
    return api.Job(
        name=name,
        source=api.Source(connection="acme", repository=repository),
        triggers=tuple(
            api.Block(kind="manual" if one.get("type") == "manual" else "push", options=dict(one)) for one in triggers
        ),
        conditions=tuple(api.Block(kind="author", options=dict(one)) for one in conditions),
        run=api.Run(steps=(api.Step(name="one", run="true"),)),
        definition=f"hash-of-{name}",
        **more,
    )
