"""What a caller may do."""

from __future__ import annotations

import pytest

from cosyrt.service.callers import LOCAL_CALLER, Caller
from cosyrt.service.errors import NotAllowed
from cosyrt.service.keys import Scope


def test_a_caller_without_scopes_may_do_nothing() -> None:
    """Deny by default: what is not allowed is forbidden, with status 403."""
    nobody = Caller(account_id="acct_1", scopes=frozenset())
    for scope in Scope:
        with pytest.raises(NotAllowed) as refused:
            nobody.require(scope)
        assert refused.value.status == 403
        LOCAL_CALLER.require(scope)
    assert LOCAL_CALLER.is_admin and not nobody.is_admin
