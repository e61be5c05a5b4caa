"""The contract of every provider, shown by the deliveries in the folder beside it."""

from pathlib import Path

import headgate_millrace

from headgate import api
from headgate.api.testing import ProviderContract

DELIVERIES = Path(__file__).with_name("deliveries")


class TestMillrace(ProviderContract):
    kind = next(iter(headgate_millrace.headgate_providers()))
    goldens = DELIVERIES
    body = DELIVERIES.joinpath("moved.json").read_bytes()
    repository = "https://git.millrace.example/Acme/Web.git"
    polled = {"refs/heads/main": "b2" * 20}
    signature_headers = ("x-millrace-seal",)
    options = {"base_url": "https://git.millrace.example", **ProviderContract.options}

    def headers(self, body, secret, at):
        seal = api.hmac_sha256_hex(body, api.Secret(secret))
        return {"x-millrace-event": "moved", "x-millrace-delivery": "1", "x-millrace-seal": seal}
