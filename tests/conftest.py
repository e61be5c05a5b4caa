"""What every test gets: no configuration, token or colour of whoever runs them."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_environment_of_ours():
    """Tests must not find the server, the token or the configuration of the person who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("HEADGATE_", "GIT_"))]:
            if name != "HEADGATE_CORPUS":
                patch.delenv(name)
        patch.setenv("NO_COLOR", "1")
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        yield
