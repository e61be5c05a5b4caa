"""Values given for a job's parameters, checked on every way into the queue; not how a build gets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headgate.api import ParameterDefinition


def validate(
    definitions: Sequence[ParameterDefinition], given: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The values of all parameters, defaults filled in, and apart from them those of type password.

    Raises `QueueError` that lists every fault: an unknown name with the nearest known one, a missing value, a
    value that is no choice, no number, out of bounds or not of the pattern.
    """
    raise NotImplementedError
