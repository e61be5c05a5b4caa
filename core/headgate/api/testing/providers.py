"""What every provider keeps, whatever it speaks; not what its events mean, which its goldens show."""

from __future__ import annotations

import jsonschema
import pytest

from headgate import api
from headgate.api.testing.kit import check_schema
from headgate.api.testing.provider_meaning import MeaningContract
from headgate.api.testing.provider_seals import SealContract


class ProviderContract(SealContract, MeaningContract):
    """What every provider keeps. A subclass says what deliveries of it look like: see `ProviderSample`.

    What it does not say fails with what to write, unless `no_such` has the reason why the host has none.
    """

    def test_schema_takes_the_options_and_refuses_an_unknown_key(self) -> None:
        """A misspelt option must not be passed over."""
        check_schema(self.kind.schema)
        jsonschema.validate(self.options, self.kind.schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**self.options, "no_such_option": 1}, self.kind.schema)

    def test_opens_what_it_says_it_provides(self) -> None:
        """Tables of capabilities are made of `provides`."""
        provider = self.open()
        assert isinstance(provider, self.kind.provides)
        assert isinstance(provider, api.Provider)

    def test_normalises_repositories(self) -> None:
        """One repository, one key; what names none says so."""
        assert len({self.kind.normalise(spelling) for spelling in self.same_repository}) == 1
        key = self.kind.normalise(self.same_repository[0])
        assert self.kind.normalise(key) == key
        for text in self.no_repository:
            with pytest.raises(ValueError, match=r"."):
                self.kind.normalise(text)
