"""`config.yaml` as frozen settings; not what a job says."""

from __future__ import annotations

from pathlib import Path

from headgate.config.kinds import KnownKinds
from headgate.config.settings import PluginSettings, Settings


def load_plugin_settings(path: Path) -> PluginSettings:
    """The `plugins:` block alone, readable before any plugin is imported; raises `ConfigError` when it is wrong."""
    raise NotImplementedError


def load_settings(path: Path, kinds: KnownKinds) -> Settings:
    """All settings, paths absolute; raises `ConfigError` with every problem found."""
    raise NotImplementedError
