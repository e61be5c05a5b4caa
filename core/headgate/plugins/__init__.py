"""Plugins: found and asked for kinds once, guarded whenever they are called; not what any of them does.

`loading` finds them, `guard` stands at every call, `circuits` decides when to stop calling, `watchdog` and `memory`
see what no call can report about itself, and `culprits` knows whose code is whose.
"""

from headgate.plugins.loading import BUNDLED, HOOKS, Kinds, LoadedPlugins, PluginReport, load_plugins

__all__ = ["BUNDLED", "HOOKS", "Kinds", "LoadedPlugins", "PluginReport", "load_plugins"]
