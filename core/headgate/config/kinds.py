"""The kinds a configuration may name, by group and name; not how they were found, which is the plugin host's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from headgate.api import ConditionKind, CredentialStoreKind, ExecutorKind, NotifierKind, ProviderKind, TriggerKind

Group: TypeAlias = Literal["providers", "triggers", "conditions", "credential_stores", "notifiers", "executors"]

SINGULAR: Mapping[Group, str] = {
    "providers": "provider",
    "triggers": "trigger",
    "conditions": "condition",
    "credential_stores": "credential store",
    "notifiers": "notifier",
    "executors": "executor",
}
"""What one kind of a group is called in messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKinds:
    """What the installed plugins offer, each kind under its name.

    `broken` maps a plugin that could not be used (broken, denied, another API version) to the reason, one line
    each. What such a plugin would have offered cannot be known for sure, since it was never asked.
    """

    providers: Mapping[str, ProviderKind] = field(default_factory=dict)
    triggers: Mapping[str, TriggerKind] = field(default_factory=dict)
    conditions: Mapping[str, ConditionKind] = field(default_factory=dict)
    credential_stores: Mapping[str, CredentialStoreKind] = field(default_factory=dict)
    notifiers: Mapping[str, NotifierKind] = field(default_factory=dict)
    executors: Mapping[str, ExecutorKind] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    def names(self, group: Group) -> tuple[str, ...]:
        """The names of one group, sorted."""
        return tuple(sorted(getattr(self, group)))

    def missing(self, group: Group, name: str) -> str | None:
        """Why `name` is not there, when a plugin that could not be used may be the cause; `None` when none is.

        A plugin called like the kind (`github`, `process_executor` for `process`, `triggers` for any trigger) is
        named alone; otherwise every unusable plugin is a suspect.
        """
        if name in getattr(self, group) or not self.broken:
            return None
        likely = [plugin for plugin in self.broken if _sounds_like(plugin, group, name)]
        if likely:
            return "; ".join(f"it comes with the plugin {plugin}: {self.broken[plugin]}" for plugin in likely)
        return "; ".join(f"it may come with the plugin {plugin}: {reason}" for plugin, reason in self.broken.items())


def _sounds_like(plugin: str, group: Group, name: str) -> bool:
    """Whether a plugin's name promises this kind; a distribution may follow in brackets."""
    word = plugin.partition(" ")[0].replace("-", "_")
    wanted = name.replace("-", "_")
    return word in {wanted, group} or word.startswith(f"{wanted}_") or word.endswith(f"_{wanted}")
