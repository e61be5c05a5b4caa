"""The published vector of Standard Webhooks, and how others read URLs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from corpus import corpus_path

from headgate import api
from headgate_plugins import git
from headgate_plugins.git.connection import Git
from headgate_plugins.git.place import Place

pytestmark = pytest.mark.corpus
KIND = next(iter(git.headgate_providers()))


def test_the_standard_webhooks_vector():
    vectors = json.loads((corpus_path() / "vectors.json").read_text())
    found = [vector for vector in vectors if vector["header"] == "webhook-signature"]
    assert found
    for vector in found:
        headers = {**vector["headers"], vector["header"]: vector["signature"]}
        delivery = api.Delivery(
            id="d",
            connection="c",
            received_at=datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC),
            headers=tuple(headers.items()),
            body=vector["body"].encode(),
        )
        provider = Git(host=None, place=Place(base_url="https://a"), secrets=[api.Secret(vector["secret"])])
        assert provider.authenticate(delivery).key == headers["webhook-id"]


def test_no_form_of_url_does_more_than_a_value_error():
    for entry in json.loads((corpus_path() / "urls.json").read_text()):
        place = Place(base_url="https://github.com")
        for url in [entry["url"]] if "url" in entry else [*entry["equivalent"], *entry["not_equivalent"]]:
            place.path_of(url)
            try:
                KIND.normalise(url)
            except ValueError as error:
                assert str(error)  # noqa: PT017 - both ways out are fine, and only these


def test_loose_matches_of_jenkins_are_loose_here():
    (entry,) = [entry for entry in json.loads((corpus_path() / "urls.json").read_text()) if "equivalent" in entry]
    place = Place(base_url="https://example.com")
    assert {place.path_of(url) for url in entry["equivalent"]} == {"jenkinsci/git-plugin"}
    assert place.path_of("https://bitbucket.org/jenkinsci/git-plugin") is None
