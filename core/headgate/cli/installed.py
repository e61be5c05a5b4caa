"""The plugins of this environment as a command needs them; not what a running server has open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.cli.endings import Ending, ExitCode
from headgate.cli.invocation import Invocation

if TYPE_CHECKING:
    from headgate.config.settings import Settings
    from headgate.plugins import LoadedPlugins


def installed_plugins(call: Invocation) -> LoadedPlugins:
    """All that the configuration's `plugins:` block lets in; all there are when there is no configuration.

    The block is read first, so that what it denies is not imported by a command either.
    """
    from headgate.config.host import load_plugin_settings
    from headgate.config.settings import PluginSettings
    from headgate.plugins import load_plugins

    path = call.config
    if path.exists():
        settings = load_plugin_settings(path)
    elif call.config_given is not None:
        raise Ending(f"there is no configuration {path}", code=ExitCode.CONFIG)
    else:
        settings = PluginSettings()
    return load_plugins(allow=settings.allow, deny=settings.deny)


def installed_settings(call: Invocation) -> Settings:
    """The whole configuration, checked against what is installed; raises `ConfigError` with every problem."""
    from headgate.config.host import load_settings

    return load_settings(call.config, installed_plugins(call).kinds)
