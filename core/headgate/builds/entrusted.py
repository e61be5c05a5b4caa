"""The credentials that a job entrusts to its steps, as variables; not how they are kept."""

from __future__ import annotations

from collections.abc import Mapping

from headgate.builds.workspace import Folder
from headgate.credentials.redaction import Redactor
from headgate.credentials.references import Secrets


async def entrusted(
    references: Mapping[str, str], secrets: Secrets, folder: Folder, redactor: Redactor
) -> dict[str, str]:
    """Name → value, for every `references` name; an ssh key is a file in `folder`, and the variable its path.

    Whatever is secret of them is known to `redactor` before this returns. Raises `CredentialError` and `OSError`.
    """
    variables: dict[str, str] = {}
    for name, reference in references.items():
        credential = await secrets.resolve(reference)
        for secret in credential.secrets():
            redactor.add(secret.reveal())
        if credential.type == "ssh_key":
            variables[name] = str(folder.keep_file(name, credential.text().reveal()))
            hosts = folder.keep_file(f"{name}_KNOWN_HOSTS", credential.fields["known_hosts"].reveal())
            variables[f"{name}_KNOWN_HOSTS"] = str(hosts)
            continue
        variables[name] = credential.text().reveal()
        if "username" in credential.fields:
            variables[f"{name}_USERNAME"] = credential.fields["username"].reveal()
    return variables
