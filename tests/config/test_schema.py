from __future__ import annotations

import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from headgate.config.schema import host_schema, job_file_schema, published
from headgate.plugins import Kinds, load_plugins


@pytest.fixture(params=["fake", "installed", "none"])
def some_kinds(request, kinds) -> Kinds:
    return {"fake": kinds, "none": Kinds()}.get(request.param) or load_plugins(allow=["headgate"]).kinds


@pytest.mark.parametrize("make", [host_schema, job_file_schema])
def test_composed_schemas_are_valid_and_survive_json(make, some_kinds):
    for schema in (make(some_kinds), published(make(some_kinds))):
        Draft202012Validator.check_schema(schema)
        assert json.loads(json.dumps(schema)) == schema


def nodes(node, path=()):
    if isinstance(node, dict):
        yield path, node
        for key, member in node.items():
            yield from nodes(member, (*path, key))
    elif isinstance(node, list):
        for at, member in enumerate(node):
            yield from nodes(member, (*path, at))


@pytest.mark.parametrize("make", [host_schema, job_file_schema])
def test_every_key_of_ours_is_described(make):
    """Editors and the reference show it; `provider` says itself what it is."""
    for path, node in nodes(make(Kinds())):
        for name, member in node.get("properties", {}).items() if isinstance(node.get("properties"), dict) else ():
            assert member.get("description"), (*path, name)


@pytest.mark.parametrize("make", [host_schema, job_file_schema])
def test_every_mapping_of_ours_refuses_unknown_keys(make):
    for path, node in nodes(make(Kinds())):
        if node.get("type") == "object" and node.get("title") != "connection":
            assert "additionalProperties" in node, path


def test_published_schemas_speak_only_what_editors_know(kinds):
    text = json.dumps([published(host_schema(kinds)), published(job_file_schema(kinds))])
    assert "x-headgate" not in text
    assert '"format": "' not in text
    assert '"pattern": "^(?P<count>' in text


def test_a_kind_that_refers_to_itself_is_embedded_with_an_id(kinds):
    """Plain jsonschema, as an editor would use it, resolves the reference within the composed schema."""
    validator = Draft202012Validator(published(job_file_schema(kinds)))
    job = """
    jobs:
      web:
        source: {connection: a, repository: b}
        conditions: [{tree: {all: [{then: {then: {wait: 5s}}}]}}]
        run: {steps: [{run: x}]}
    """
    assert validator.is_valid(yaml.safe_load(job))
    assert not validator.is_valid(yaml.safe_load(job.replace("5s", "5 s")))
