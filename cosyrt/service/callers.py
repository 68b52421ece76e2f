"""Who is behind a request, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

from cosyrt.service.errors import NotAllowed
from cosyrt.service.keys import Scope
from cosyrt.service.schema import LOCAL_ACCOUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The account and key behind a request, and what they may do."""

    account_id: str
    key_id: str = ""  # empty: a service without keys
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """Go on only if the key may do this; an admin may do everything.

        Raises:
            NotAllowed: it may not.
        """
        if not self.scopes & {scope, Scope.ADMIN}:
            raise NotAllowed(f"this key may not do that; it needs the scope {scope.value!r}")

    @property
    def is_admin(self) -> bool:
        """Whether it may see and change what belongs to other accounts."""
        return Scope.ADMIN in self.scopes


LOCAL_CALLER = Caller(account_id=LOCAL_ACCOUNT, scopes=frozenset(Scope))
