"""Accounts over HTTP, for those whose key may do everything: list them, delete one with all that it owns."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request

from cosyrt.service.account_list import AccountFacts, list_accounts, remove_account
from cosyrt.service.key_routes import allowed
from cosyrt.service.state import service_of
from cosyrt.service.tasks import forget_gone_voices

router = APIRouter(prefix="/admin/accounts", tags=["keys"])


@router.get("")
async def get_accounts(http: Request) -> dict[str, Any]:
    """All accounts, and how many keys, voices and consents each has."""
    allowed(http)
    facts = await asyncio.to_thread(list_accounts, service_of(http).store)
    return {"object": "list", "data": [_entry(each) for each in facts], "has_more": False}


@router.delete("/{name}")
async def delete_account(http: Request, name: str) -> dict[str, Any]:
    """Delete an account with its keys, voices, consents and requests. There is no way back."""
    accounts, caller = allowed(http)
    service = service_of(http)
    facts = await asyncio.to_thread(remove_account, service.store, name, by=caller)
    accounts.forget()
    service.voices.forget()
    await service.store.run(forget_gone_voices, service)
    return {**_entry(facts), "object": "account.deleted", "deleted": True}


def _entry(facts: AccountFacts) -> dict[str, Any]:
    return {**asdict(facts), "object": "account"}
