"""What every command is told: which configuration, which server, whether to print JSON; not its own arguments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

DEFAULT_CONFIGS = (Path("config.yaml"), Path("config.example.yaml"))
"""Where the configuration is looked for when neither --config nor HEADGATE_CONFIG says it."""


@dataclass(slots=True)
class Invocation:
    """Filled by the options, wherever they stand: `headgate --json jobs` is `headgate jobs --json`."""

    config_given: Path | None = None
    url: str | None = None
    token: str | None = None
    json: bool = False

    @staticmethod
    def of(context: typer.Context) -> Invocation:
        """The one invocation of this process."""
        root = context.find_root()
        if not isinstance(root.obj, Invocation):
            root.obj = Invocation()
        return root.obj

    @property
    def config(self) -> Path:
        """The configuration's path. It need not exist: whoever reads it says so."""
        if self.config_given is not None:
            return self.config_given
        return next((path for path in DEFAULT_CONFIGS if path.exists()), DEFAULT_CONFIGS[0])

    @property
    def is_example(self) -> bool:
        """Whether the example configuration was taken because there is no other; worth a note."""
        return self.config_given is None and self.config == DEFAULT_CONFIGS[1]


def _keep(name: str) -> Any:
    """An option's callback: remember what was given, and do not forget it when the option is absent further right."""

    def keep(context: typer.Context, value: Any) -> Any:
        if value:
            setattr(Invocation.of(context), name, value)
        return value

    return keep


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        envvar="HEADGATE_CONFIG",
        expose_value=False,
        callback=_keep("config_given"),
        help="The configuration. Otherwise ./config.yaml, then ./config.example.yaml.",
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="HEADGATE_URL",
        expose_value=False,
        callback=_keep("url"),
        help="A server elsewhere, with a token in HEADGATE_TOKEN. Otherwise the one of the configuration's data.",
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", expose_value=False, callback=_keep("json"), help="Print JSON."),
]


def local_options(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """The options of every command."""


def server_options(config: ConfigOption = None, url: UrlOption = None, *, as_json: JsonOption = False) -> None:
    """The options of every command that asks a server."""
