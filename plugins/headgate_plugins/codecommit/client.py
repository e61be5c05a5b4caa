"""How CodeCommit's API is spoken to: one address, signed POSTs, errors in bodies; not what is asked.

Source: https://docs.aws.amazon.com/codecommit/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import importlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from headgate import api
from headgate.api.client import (
    Answer,
    Authorization,
    BaseUrl,
    Bounds,
    Client,
    Dialect,
    RateLimits,
    ToSign,
    said,
)

T = TypeVar("T")

TARGET = "CodeCommit_20150413"
MOST_PAGES = 1000
BOUNDS = Bounds(most_bytes=16 * 1024 * 1024)
"""GetFile gives up to 6 MB, in base64."""

_WORD = re.compile(r"[A-Za-z]+")
_PERMISSION = re.compile(r"perform: (codecommit:[A-Za-z]+)")

# https://docs.aws.amazon.com/codecommit/latest/APIReference/CommonErrors.html
_REFUSED = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "UnrecognizedClientException",
    }
)
_UNAVAILABLE = frozenset({"InternalFailure", "InternalServerError", "RequestExpired", "ServiceUnavailable"})
_MISSING = ("DoesNotExist", "NotFound", "NotAssociated")
_CONFLICTS = frozenset(
    {
        "BranchNameExistsException",
        "BranchNameIsTagNameException",
        "ConcurrentReferenceUpdateException",
        "DirectoryNameConflictsWithFileNameException",
        "FileContentAndSourceFileSpecifiedException",
        "FileNameConflictsWithDirectoryNameException",
        "FilePathConflictsWithSubmodulePathException",
        "ManualMergeRequiredException",
        "NoChangeException",
        "ParentCommitIdOutdatedException",
        "ParentCommitIdRequiredException",
        "PullRequestAlreadyClosedException",
        "PullRequestApprovalRulesNotSatisfiedException",
        "PutFileEntryConflictException",
        "SourceAndDestinationAreSameException",
        "TipOfSourceReferenceIsDifferentException",
        "TipsDivergenceExceededException",
    }
)


def error_type(answer: Answer) -> str:
    """The name of the error, from the header or the body; empty when neither says it.

    https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization
    """
    body = answer.plain()
    told = answer.headers.get("x-amzn-errortype") or (body.get("__type") if isinstance(body, dict) else None)
    found = _WORD.match(str(told or "").rpartition("#")[2])
    return found[0] if found else ""


def meaning(answer: Answer) -> type[api.ProviderError] | None:
    """What the name of the error means: everything comes with status 400."""
    name = error_type(answer)
    if name in _REFUSED:
        return api.Refused
    if name in _CONFLICTS:
        return api.Conflict
    if name in _UNAVAILABLE or name.startswith("EncryptionKeyUnavailable"):
        return api.Unavailable
    return api.NotFound if any(word in name for word in _MISSING) else None


def needed_permission(answer: Answer) -> tuple[str, ...]:
    """`… is not authorized to perform: codecommit:GetBranch on resource: …`."""
    return tuple(_PERMISSION.findall(said(answer))[:1])


DIALECT = Dialect(
    name="CodeCommit",
    headers={"Content-Type": "application/x-amz-json-1.1"},
    # https://docs.aws.amazon.com/general/latest/gr/api-retries.html: it never says for how long
    limits=RateLimits(
        sometimes=frozenset({400}),
        words=("rate exceeded", "throttl", "too many requests"),
        pause=timedelta(seconds=5),
    ),
    meaning=meaning,
    needs=(needed_permission,),
)


class Calls:
    """CodeCommit's operations by name. Each is a POST to the one address; reading ones are made again after failures."""

    def __init__(self, client: Client) -> None:
        """`client`: with the credential."""
        self._client = client

    async def read(self, operation: str, asked: Mapping[str, Any], *, shape: type[T]) -> T:
        """The answer of an operation that changes nothing. Raises `ProviderError` or `CredentialError`."""
        return (await self._call(operation, asked, idempotent=True)).read(shape)

    async def write(self, operation: str, asked: Mapping[str, Any], *, shape: type[T], idempotent: bool = False) -> T:
        """The answer of one that does; made again only if `idempotent`. Raises as `read`."""
        return (await self._call(operation, asked, idempotent=idempotent)).read(shape)

    async def empty(self, operation: str, asked: Mapping[str, Any]) -> None:
        """An operation that answers nothing; not made again. Raises as `read`."""
        await self._call(operation, asked, idempotent=False)

    async def pages(
        self, operation: str, asked: Mapping[str, Any], *, shape: type[T], key: str = "nextToken"
    ) -> AsyncIterator[T]:
        """Each page of a listing, as they are wanted; `key`: of the next one's token. Raises as `read`, also for a page that was there before."""
        seen: set[str] = set()
        following: dict[str, str] = {}
        while True:
            answer = await self._call(operation, {**asked, **following}, idempotent=True)
            yield answer.read(shape)
            after = answer.read(dict[str, Any]).get(key)
            if not after:
                return
            if after in seen or len(seen) >= MOST_PAGES:
                raise api.ProviderError(f"CodeCommit lists {operation} in a circle, or on more than {MOST_PAGES} pages")
            seen.add(after)
            following = {key: after}

    async def _call(self, operation: str, asked: Mapping[str, Any], *, idempotent: bool) -> Answer:
        try:
            return await self._client.call(
                "POST", "/", body=asked, headers={"X-Amz-Target": f"{TARGET}.{operation}"}, idempotent=idempotent
            )
        except api.ProviderError as error:
            error.args = (str(error).replace("to POST /", f"to {operation}"), *error.args[1:])
            raise


@dataclass(frozen=True, slots=True)
class SigV4:
    """Signs requests with an access key. Two of one key are equal.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
    """

    access_key_id: str
    secret_access_key: api.Secret
    region: str
    service: str = "codecommit"

    def __call__(self, request: ToSign) -> dict[str, str]:
        """The headers that prove `request`."""
        from botocore.auth import SigV4Auth  # the extra `codecommit`; nobody else waits for it
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        plain = AWSRequest(method=request.method, url=request.url, data=request.body, headers=dict(request.headers))
        credentials = Credentials(self.access_key_id, self.secret_access_key.reveal())
        SigV4Auth(credentials, self.service, self.region).add_auth(plain)
        return {name: str(value) for name, value in plain.headers.items() if name not in request.headers}


class StoredKey:
    """Authorises with an access key of a store, fetched for each request and bound to the endpoint's host."""

    def __init__(self, host: api.Host, reference: str | None, base: BaseUrl, *, region: str) -> None:
        """`reference`: `secret://store/name`; without one nothing can be asked."""
        self._host = host
        self._reference = reference
        self._base = base
        self._region = region

    async def __call__(self, *, renew: bool) -> Authorization:  # noqa: ARG002 - the store is asked each time anyway
        """See `Authorize`. Raises `CredentialError`."""
        if self._reference is None:
            raise api.CredentialError("the connection has no `credential`; CodeCommit answers nobody without a key")
        credential = await self._host.secret(self._reference, for_host=self._base.host)
        if credential.type != "aws_key":
            raise api.CredentialError(f"{self._reference} is of type {credential.type}; this takes aws_key")
        await self._host.blocking(load_botocore)
        key = SigV4(credential.fields["access_key_id"].reveal(), credential.text(), self._region)
        return Authorization(sign=key)


def load_botocore() -> None:
    """Import it once, which takes a while; `CredentialError` names what to install."""
    try:
        importlib.import_module("botocore.auth")
    except ImportError:
        raise api.CredentialError(
            "requests to AWS are signed by botocore, which is not installed: install headgate[codecommit]"
        ) from None


def open_calls(host: api.Host, *, base_url: str, configured: bool, reference: str | None, region: str) -> Calls:
    """The operations of a connection. `configured`: an admin wrote the base URL."""
    base = BaseUrl.read(base_url, configured=configured)
    authorize = StoredKey(host, reference, base, region=region)
    return Calls(Client(host, base, dialect=DIALECT, authorize=authorize, bounds=BOUNDS))
