"""API keys over HTTP, for those whose key may do everything: list, make, revoke.

Where there is no key yet, this machine alone reaches the service, and may make the first one.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from cosyrt.service.access import caller_of
from cosyrt.service.accounts import Accounts, KeyFacts
from cosyrt.service.callers import Caller
from cosyrt.service.errors import NotAllowed, NotFound
from cosyrt.service.keys import DEFAULT_SCOPES, Scope
from cosyrt.service.state import service_of

router = APIRouter(prefix="/admin/keys", tags=["keys"])

LONGEST_S = 10 * 366 * 86_400


class NewKeyBody(BaseModel):
    """What a new key is for, and what it may do."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [{"name": "Open WebUI"}]})

    name: Annotated[str, Field(min_length=1, max_length=256)]
    account: Annotated[str, Field(max_length=256, description="Whose voices it sees.")] = ""
    scopes: Annotated[frozenset[Scope], Field(min_length=1)] = DEFAULT_SCOPES
    expires_in_s: Annotated[int | None, Field(ge=1, le=LONGEST_S)] = None


@router.get("")
async def list_keys(http: Request) -> dict[str, Any]:
    """All keys of the service, without the keys themselves."""
    accounts, _ = allowed(http)
    facts = await asyncio.to_thread(accounts.list_keys)
    return {"object": "list", "data": [_entry(each) for each in facts], "has_more": False}


@router.post("")
async def create_key(http: Request, body: NewKeyBody) -> dict[str, Any]:
    """Make a key. The answer is the only place where it stands."""
    accounts, caller = allowed(http)
    facts, key = await asyncio.to_thread(
        accounts.add_key,
        body.name,
        account=body.account,
        scopes=body.scopes,
        expires_at=_now() + body.expires_in_s if body.expires_in_s else None,
        by=caller,
    )
    return {**_entry(facts), "key": key}


@router.delete("/{identifier}")
async def revoke_key(http: Request, identifier: str) -> dict[str, Any]:
    """Revoke a key; programs that send it are refused from then on."""
    accounts, caller = allowed(http)
    return _entry(await asyncio.to_thread(accounts.revoke_key, identifier, by=caller))


def allowed(http: Request) -> tuple[Accounts, Caller]:
    """The accounts of the service, for a caller who may change them.

    Raises:
        NotAllowed: the caller may not. NotFound: the service works without keys.
    """
    service, caller = service_of(http), caller_of(http.scope)
    caller.require(Scope.ADMIN)
    if not isinstance(service.accounts, Accounts):
        raise NotFound("this service has no keys; start it with keys = true to have them", code="no_keys")
    if not caller.key_id and service.settings.open:  # a stranger could lock its owner out
        raise NotAllowed("other machines reach this service; make its first key here: cosyrt keys add NAME")
    return service.accounts, caller


def _now() -> int:
    return int(time.time())


def _entry(facts: KeyFacts) -> dict[str, Any]:
    return {
        **asdict(facts),
        "object": "api_key",
        "scopes": sorted(facts.scopes),
        "state": facts.state(_now()),
    }
