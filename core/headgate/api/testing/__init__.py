"""The conformance kit: contract test classes that a plugin subclasses in a few lines; not a test runner of its own.

```python
class TestSourcehut(ProviderContract):
    kind = PROVIDER
    goldens = Path(__file__).with_name("deliveries")  # created.json, deleted.json, from_fork.json, ...
    body = PUSH
    repository, polled = "~ada/web", {"refs/heads/main": "b2" * 20}
    signature_headers = ("x-payload-signature",)

    def headers(self, body, secret, at):
        return {"x-webhook-event": "repo:update", "x-payload-signature": sign(body, secret)}
```

A protection is only shown by what it keeps out, so most of these tests spoil a good delivery in one place.
"""

from __future__ import annotations

from headgate.api.testing.calls import TOKEN, Answer, Asked, CallsContract, GitHost, calling
from headgate.api.testing.executors import ExecutorContract, PlainBench
from headgate.api.testing.kit import (
    NOW,
    ContractHost,
    check_event,
    check_schema,
    mutated,
    no_sockets,
    sample_build,
    sample_events,
    sample_subject,
    with_durations,
)
from headgate.api.testing.notifiers import NotifierContract
from headgate.api.testing.provider_sample import ProviderSample
from headgate.api.testing.providers import ProviderContract
from headgate.api.testing.recordings import Recording
from headgate.api.testing.rules import ConditionContract, RuleContract, TriggerContract
from headgate.api.testing.stores import CredentialStoreContract

__all__ = [
    "NOW",
    "TOKEN",
    "Answer",
    "Asked",
    "CallsContract",
    "ConditionContract",
    "ContractHost",
    "CredentialStoreContract",
    "ExecutorContract",
    "GitHost",
    "NotifierContract",
    "PlainBench",
    "ProviderContract",
    "ProviderSample",
    "Recording",
    "RuleContract",
    "TriggerContract",
    "calling",
    "check_event",
    "check_schema",
    "mutated",
    "no_sockets",
    "sample_build",
    "sample_events",
    "sample_subject",
    "with_durations",
]
