"""From `secret://store/name` to the credential, bound to its hosts and masked from then on; not where it is kept."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from headgate.api import REFERENCE, Credential, CredentialError, CredentialStore, WritableCredentialStore
from headgate.credentials.hosts import allows
from headgate.credentials.redaction import Redactor


class Secrets:
    """The configured stores behind one door. Whatever leaves it is known to the redactor first."""

    def __init__(self, stores: Mapping[str, CredentialStore], redactor: Redactor) -> None:
        """`stores`: by the name that stands behind `secret://`; `redactor`: the process-wide one."""
        self._stores = stores
        self.redactor = redactor

    async def resolve(self, reference: str, *, for_host: str | None = None) -> Credential:
        """What `reference` stands for; `for_host` is where it is about to travel, `None` when it stays here.

        Raises `CredentialError` when the reference has another form, names no store of ours or nothing in it,
        or when the credential is not bound to `for_host`. The message never holds a secret.
        """
        store, name = self._find(reference)
        credential = (await store.get(name)).check()
        for secret in credential.secrets():
            self.redactor.add(secret.reveal())
        if for_host is not None and not allows(credential.hosts, for_host):
            raise CredentialError(
                f"{reference} may not travel to {for_host!r}: it is bound to {', '.join(credential.hosts) or 'no host'}"
            )
        return credential

    async def keep(self, reference: str, credential: Credential) -> None:
        """Put a renewed credential in the place of the one it was made of; see `headgate.api.Host.keep_secret`.

        A command that sets another one between the look and the writing is overwritten: stores know no condition.
        """
        store, name = self._find(reference)
        for secret in credential.check().secrets():
            self.redactor.add(secret.reveal())
        if not isinstance(store, WritableCredentialStore):
            raise CredentialError(f"{reference} was renewed and cannot be kept: its store can only be read")
        found = await store.get(name)
        if (found.type, found.hosts, found.version) != (credential.type, credential.hosts, credential.version):
            raise CredentialError(f"{reference} was changed while it was renewed; what is there now is used")
        await store.put(name, credential)

    def _find(self, reference: str) -> tuple[CredentialStore, str]:
        match = REFERENCE.fullmatch(reference)
        if match is None:
            # The text is not repeated: who wrote a secret where its reference belongs must not find it in a log.
            raise CredentialError("a secret's reference has the form secret://store/name")
        store = self._stores.get(match["store"])
        if store is None:
            nearest = difflib.get_close_matches(match["store"], self._stores, n=1)
            hint = (
                f"did you mean {nearest[0]}?" if nearest else f"there are: {', '.join(sorted(self._stores)) or 'none'}"
            )
            raise CredentialError(f"{reference}: no credential store is called {match['store']} ({hint})")
        return store, match["name"]
