"""An explanation as a person reads it, from the delivery down to each job's verdicts; not how it was decided."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from headgate.cli.builds import label
from headgate.cli.deliveries import state_word
from headgate.cli.output import ago, outcome, paint, plain, repository_name, say, short_ref, short_sha

_LONG: Final = 160
"""Characters of one compared value; `--json` has all of them."""

_SUBJECTS: Final = ("actor", "number", "action", "title", "tag", "name", "reason", "scheduled_for", "outcome")
"""Fields of an event that tell a person which one it was, in this order."""


def print_explanation(explanation: Mapping[str, Any]) -> None:
    """Print all of it: what arrived, what moved, and what every job of the repository said to that."""
    if delivery := explanation["delivery"]:
        _print_delivery(delivery)
    builds = {build["id"]: build for build in explanation["builds"]}
    if asked := explanation["build"]:
        builds[asked["id"]] = asked
        say(f"build {paint(label(asked), 'bold')} {outcome(asked)}: {plain(asked['reason'])}")
    if not explanation["events"]:
        say(f"  {paint('no event came of it', 'dim')}")
    for explained in explanation["events"]:
        _print_event(explained["event"])
        _print_transition(explained["transition"])
        if not explained["decisions"]:
            say(f"    {paint('no job is for this repository', 'yellow')}")
            say("    `headgate jobs` shows the repository of each job, `headgate check` the files that are not used")
        for decision in explained["decisions"]:
            _print_decision(decision, builds)


def _print_delivery(record: Mapping[str, Any]) -> None:
    words = [
        f"delivery {paint(plain(record['id']), 'bold')}",
        f"{plain(record['event'] or 'webhook')} to {plain(record['connection'])}",
        ago(record["received_at"]),
        state_word(record),
    ]
    say("  ".join(words) + (f": {plain(record['reason'])}" if record["reason"] else ""))
    if record["replay_of"]:
        say(f"  a replay of {plain(record['replay_of'])}")


def _print_event(record: Mapping[str, Any]) -> None:
    event = record["event"]
    repository = event.get("repository")
    where = f" of {repository_name(repository, record['connection'])}" if repository else ""
    ref = f" {short_ref(event['ref'])}" if event.get("ref") else ""
    what = str(event["type"]).replace("_", " ")
    told = [f"{name} {event[name]}" for name in _SUBJECTS if event.get(name) not in {None, ""}]
    if what == "tag" and ref.startswith(" tag "):  # which says the type and the name already
        ref = ref.removeprefix(" tag")
        told = [fact for fact in told if not fact.startswith("tag ")]
    seen = [] if record["observer"] == "person" else [f"seen by {record['observer']}"]
    beside = paint(plain("  " + ", ".join(seen + told)), "dim")
    say(f"  {paint(plain(what), 'bold')}{ref}{where}{beside}")


def _print_transition(transition: Mapping[str, Any] | None) -> None:
    if transition is None:
        return
    key = transition["key"]
    seen = [way for way, flag in (("webhook", "by_webhook"), ("poll", "by_poll")) if transition[flag]]
    news = ", late: a newer move was already known" if transition["late"] else ""
    known = f" (seen by {' and '.join(seen)})" if seen else ""
    before, after = transition["before"], transition["after"]
    move = f"{short_sha(before)} → {short_sha(after)}"
    if before is None:
        first_look = transition["generation"] == 1 and not transition["by_webhook"]
        move = f"{'first seen' if first_look else 'created'} at {short_sha(after)}"
    elif after is None:
        move = f"deleted at {short_sha(before)}"
    say(
        f"    {short_ref(key['ref'])}: {move}, move {transition['generation']} of this ref{known}{paint(news, 'yellow')}"
    )


def _print_decision(decision: Mapping[str, Any], builds: Mapping[str, Mapping[str, Any]]) -> None:
    build_id = decision["build_id"] or decision["existing_build_id"]
    build = builds.get(build_id or "")
    mark = paint("✓", "green") if decision["build"] else paint("✗", "red")
    if build_id and not decision["build_id"]:
        mark = paint("=", "cyan")
    result = f"  → {label(build)} {outcome(build)}" if build else ""
    say(f"    {mark} {paint(plain(decision['job']), 'bold')}{result}  {plain(decision['reason'])}")
    beside = f"decided by {decision['rule']}, job definition {decision['definition'][:12]}"
    say(f"        {paint(plain(beside), 'dim')}")
    for verdict in decision["verdicts"]:
        _print_verdict(verdict)


def _print_verdict(verdict: Mapping[str, Any]) -> None:
    mark = paint("✓", "green") if verdict["passed"] else paint("✗", "red")
    say(f"        {mark} {plain(verdict['rule'])}: {plain(verdict['reason'])}")
    for name, value in verdict["compared"].items():
        say(f"            {paint(plain(name), 'dim')} = {_value(value)}")


def _value(value: Any) -> str:
    """A compared value as JSON, cut when it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return plain(text if len(text) <= _LONG else f"{text[:_LONG]}… ({len(text)} characters; --json shows all)")
