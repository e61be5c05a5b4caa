"""From what the hook sends to our event, or to a reason why there is none; pure.

Fossil names check-ins by hashes of its own, and builds are made of the Git mirror, whose hashes are others. So what
the hook tells is that the repository is to be asked, not where its refs are.
"""

from __future__ import annotations

import re

from headgate import api
from headgate_plugins.fossil.names import normalise
from headgate_plugins.fossil.shapes import Received

# The words of `fossil` itself: src/hook.c and describe_artifacts_to_stdout.
_LINE = re.compile(r"(?P<hash>[0-9a-f]{40,64}) (?P<kind>check-in|tag)\b(?P<rest>.*)")
_BY = re.compile(r" to (?P<branch>.+) by (?P<user>.+) on [0-9]{4}-[0-9]{2}-[0-9]{2} ")


def received(payload: Received, host: str) -> api.Reading:
    """Check-ins and tags move refs; wiki pages, tickets and files by themselves do not."""
    repository = api.Repository(host=host, path=normalise(payload.repository))
    lines = [found for line in payload.artifacts if (found := _LINE.fullmatch(line))]
    if not lines:
        return api.Ignored(reason="the server received neither a check-in nor a tag")
    told = [found for line in lines if (found := _BY.match(line["rest"]))]
    actor = told[-1]["user"] if told else None
    return api.Parsed(events=(api.PollRequested(repository=repository, actor=actor),))
