"""A value against a schema: what it becomes, or everything that is wrong with it; not where schemas come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headgate.api import Problem
from headgate.config.converting import Converting
from headgate.config.explain import Explaining
from headgate.config.fitting import Fitting
from headgate.config.formats import Formats
from headgate.config.kinds import KnownKinds
from headgate.config.strict import strict_validator
from headgate.config.written import take_as_written
from headgate.config.yaml import Document, KeyPath


class Checker:
    """One schema, ready for many values. Quick for what fits; jsonschema is asked only about what does not."""

    def __init__(self, schema: Mapping[str, Any], formats: Formats, kinds: KnownKinds | None = None) -> None:
        """`schema`: a valid JSON Schema (2020-12). `kinds`: to say why a kind is not there."""
        self._schema = schema
        self._formats = formats
        self._kinds = kinds
        self._fitting = Fitting(schema, formats)
        self._converting = Converting(schema, self._fitting)

    def read(self, document: Document, value: Any, at: KeyPath = ()) -> tuple[Any, tuple[Problem, ...]]:
        """What `value`, which stands at `at`, becomes, and no problems; or `None` and every problem.

        Numbers and booleans where the schema wants a text are taken as they were written.
        """
        if self._fitting.fits(value):
            return self._converting.convert(value), ()
        if take_as_written(document, at, value, self._fitting) and self._fitting.fits(value):
            return self._converting.convert(value), ()
        explaining = Explaining(
            document=document, below=at, schema=self._schema, formats=self._formats, kinds=self._kinds
        )
        errors = strict_validator(self._schema, self._formats).iter_errors(value)
        problems = explaining.problems(errors)
        # A fault of ours would be to refuse without a reason, or to let pass what jsonschema refuses.
        return None, problems or (document.problem(at, "does not fit its schema, for a reason that cannot be told"),)

    def convert(self, value: Any) -> Any:
        """What `value` becomes where it fits; for what is checked further although not all of it fits."""
        return self._converting.convert(value)
