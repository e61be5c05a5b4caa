"""What the config room asks of the registry of kinds; not how kinds are found, which is the plugin host's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from headgate.api import (
    CAPABILITIES,
    ConditionKind,
    CredentialStoreKind,
    ExecutorKind,
    NotifierKind,
    ProviderKind,
    TriggerKind,
)
from headgate.config.nearest import nearest

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


class KnownKinds(Protocol):
    """Every usable kind under its name; `headgate.plugins.Kinds` fits.

    `broken` maps a plugin that could not be used (broken, denied, of another API version) to the reason, one line
    each. What such a plugin would have offered cannot be known for sure, since it was never asked.
    """

    @property
    def providers(self) -> Mapping[str, ProviderKind]:
        """Kinds of Git hosting."""

    @property
    def triggers(self) -> Mapping[str, TriggerKind]:
        """What may stand under a job's `triggers:`."""

    @property
    def conditions(self) -> Mapping[str, ConditionKind]:
        """What may stand under a job's `conditions:`."""

    @property
    def credential_stores(self) -> Mapping[str, CredentialStoreKind]:
        """What may stand under `credential_stores:` in the configuration."""

    @property
    def notifiers(self) -> Mapping[str, NotifierKind]:
        """What may stand under a job's `notify:`."""

    @property
    def executors(self) -> Mapping[str, ExecutorKind]:
        """What a job may name as `run.executor:`."""

    @property
    def broken(self) -> Mapping[str, str]:
        """Plugins that could not be used, and why."""


def names(kinds: KnownKinds, group: Group) -> tuple[str, ...]:
    """The names of one group, sorted."""
    return tuple(sorted(_of(kinds, group)))


def missing(kinds: KnownKinds, group: Group, name: str) -> str | None:
    """Why `name` is not there, when a plugin that could not be used may be the cause; `None` when none is.

    A plugin called like the kind (`github`, `process_executor` for `process`, `triggers` for any trigger) is named
    alone; otherwise every unusable plugin is a suspect.
    """
    if name in _of(kinds, group) or not kinds.broken:
        return None
    likely = [plugin for plugin in kinds.broken if _sounds_like(plugin, group, name)]
    if likely:
        return "; ".join(f"it comes with the plugin {plugin}: {kinds.broken[plugin]}" for plugin in likely)
    return "; ".join(f"it may come with the plugin {plugin}: {reason}" for plugin, reason in kinds.broken.items())


def lost(kinds: KnownKinds, group: Group, name: str) -> str | None:
    """As `missing`, but only when `name` is hardly a misspelling of a kind that is there."""
    if nearest(name, names(kinds, group)) and not any(_sounds_like(plugin, group, name) for plugin in kinds.broken):
        return None
    return missing(kinds, group, name)


def incapable(kinds: KnownKinds, provider: str, features: Sequence[str]) -> tuple[str, str] | None:
    """That no connection of `provider` can do what needs these capabilities, and whose can; `None`: one might."""
    if _has(kinds.providers[provider], features):
        return None
    able = sorted(name for name, kind in kinds.providers.items() if _has(kind, features))
    hint = f"these can: {', '.join(able)}" if able else "none that is installed can"
    return f"the provider `{provider}` cannot do this", hint


def _has(kind: ProviderKind, features: Sequence[str]) -> bool:
    return all(issubclass(kind.provides, CAPABILITIES[feature]) for feature in features)


def _of(kinds: KnownKinds, group: Group) -> Mapping[str, object]:
    found: Mapping[str, object] = getattr(kinds, group)
    return found


def _sounds_like(plugin: str, group: Group, name: str) -> bool:
    """Whether a plugin's name promises this kind."""
    word, wanted = plugin.replace("-", "_"), name.replace("-", "_")
    return word in {wanted, group} or word.startswith(f"{wanted}_") or word.endswith(f"_{wanted}")
