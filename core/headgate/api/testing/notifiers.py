"""What every notifier keeps about the news it wants; not how it tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jsonschema

from headgate import api
from headgate.api.testing.kit import check_schema, no_sockets, sample_build


class NotifierContract:
    """What every notifier keeps about the news it wants; how it tells them is the plugin's own test."""

    kind: ClassVar[api.NotifierKind]
    notifier: ClassVar[Callable[[], api.Notifier]]
    """Makes one, without a network."""
    options: ClassVar[Mapping[str, Any]] = {}

    def test_schemas_are_strict(self) -> None:
        """Both of them."""
        check_schema(self.kind.schema)
        check_schema(self.kind.settings)
        jsonschema.validate(self.options, self.kind.schema)

    def test_needs_what_there_is(self) -> None:
        """Only capabilities that a provider may have."""
        assert set(self.kind.needs) <= set(api.CAPABILITIES)

    def test_decides_purely(self) -> None:
        """`wants` and `order_key` give the same every time, without a socket, whatever the build's state."""
        notifier, options = type(self).notifier(), dict(self.options)
        assert isinstance(notifier, api.Notifier)
        phases: tuple[api.Phase, ...] = ("queued", "running", "finished")
        with no_sockets():
            for phase in phases:
                build = sample_build(state=phase)
                wanted = notifier.wants(phase, build, options)
                assert isinstance(wanted, bool)
                assert notifier.wants(phase, build, options) is wanted
                key = notifier.order_key(build, options)
                assert isinstance(key, str)
                assert notifier.order_key(build, options) == key
