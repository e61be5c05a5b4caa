"""The one HTTP client of all providers: bounded, patient, masked; not a way to call arbitrary URLs.

```python
from headgate.api import client
```

A name not in `__all__` is private. It imports aiohttp and is therefore not imported by `headgate.api`. Read it in
this order: `client.py` (a request's life), `dialects.py` (what differs between providers), then the rest by name.
"""

from __future__ import annotations

from headgate.api.client.addresses import BaseUrl, Params, segment
from headgate.api.client.answers import Answer, Headers, said
from headgate.api.client.authorization import (
    Authorization,
    Authorize,
    Sign,
    StoredCredential,
    ToSign,
    basic,
    bearer,
    in_header,
)
from headgate.api.client.bounds import Bounds
from headgate.api.client.client import Client
from headgate.api.client.dialects import MEANINGS, Dialect, Needs, challenge_scope, needed_header, scope_headers
from headgate.api.client.guard import AddressRefused, address_refusal, guarded_socket, public_only, shared_socket
from headgate.api.client.limits import (
    Budget,
    BudgetReader,
    RateLimits,
    budget_headers,
    near_header,
    no_budget,
    one_budget,
    retry_after,
)
from headgate.api.client.names import NAMES_THREAD, Names
from headgate.api.client.oauth import CodeRequest, RefreshedToken, TokenEndpoint, Tokens, code_request
from headgate.api.client.pages import (
    Next,
    NextPage,
    Paging,
    continuation_token,
    link_header,
    next_in_body,
    next_page_header,
    page_start,
)
from headgate.api.client.renewal import Issue, Issued, RenewedToken

__all__ = [
    "MEANINGS",
    "NAMES_THREAD",
    "AddressRefused",
    "Answer",
    "Authorization",
    "Authorize",
    "BaseUrl",
    "Bounds",
    "Budget",
    "BudgetReader",
    "Client",
    "CodeRequest",
    "Dialect",
    "Headers",
    "Issue",
    "Issued",
    "Names",
    "Needs",
    "Next",
    "NextPage",
    "Paging",
    "Params",
    "RateLimits",
    "RefreshedToken",
    "RenewedToken",
    "Sign",
    "StoredCredential",
    "ToSign",
    "TokenEndpoint",
    "Tokens",
    "address_refusal",
    "basic",
    "bearer",
    "budget_headers",
    "challenge_scope",
    "code_request",
    "continuation_token",
    "guarded_socket",
    "in_header",
    "link_header",
    "near_header",
    "needed_header",
    "next_in_body",
    "next_page_header",
    "no_budget",
    "one_budget",
    "page_start",
    "public_only",
    "retry_after",
    "said",
    "scope_headers",
    "segment",
    "shared_socket",
]
