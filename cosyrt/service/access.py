"""Who is calling: deny by default, on every route and WebSocket, before anything else is looked at.

The gate stands outside of all routing and goes by the path of the request alone: what is not on the short
list of open paths needs a key, whatever else it is.
"""

from __future__ import annotations

import ipaddress
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from cosyrt.errors import CosyrtError
from cosyrt.service.callers import LOCAL_CALLER, Caller
from cosyrt.service.credentials import key_in
from cosyrt.service.errors import NotAllowed
from cosyrt.service.refusals import refuse
from cosyrt.service.settings import Settings

CALLER = "caller"  # the key under which the caller stands in the state of a scope
ALWAYS_OPEN = frozenset({"/health", "/ready", "/livez", "/readyz", "/favicon.ico"})
LISTS = frozenset({"/v1/models", "/v1/audio/models", "/v1/audio/voices"})


NOBODY = Caller(account_id="", scopes=frozenset())  # on a path that is open


class KnowsCallers(Protocol):
    """Where callers are known from."""

    def has_keys(self) -> bool:
        """Whether any key was ever made, for a program that has no event loop yet."""

    async def needs_keys(self) -> bool:
        """Whether requests without a key are refused."""

    async def authenticate(self, text: str | None, peer: str = "") -> Caller:
        """The caller with that key, who comes from that address.

        Raises:
            NotAuthenticated: no key, or none that is good.
        """


class EverybodyIsLocal:
    """Accounts of a service without keys."""

    def has_keys(self) -> bool:
        """Say no."""
        return False

    async def needs_keys(self) -> bool:
        """Say no."""
        return False

    async def authenticate(self, text: str | None, peer: str = "") -> Caller:
        """Everybody is the owner of this machine."""
        return LOCAL_CALLER


class Gate:
    """Lets nobody through who has no key, and no web page that was not named."""

    def __init__(
        self, app: ASGIApp, accounts: KnowsCallers, settings: Settings, open_paths: frozenset[str]
    ) -> None:
        self.app, self.accounts = app, accounts
        self.origins = words(settings.origins)
        self.hosts = {"localhost", settings.host, *words(settings.hosts)}
        self.always = ALWAYS_OPEN | open_paths | ({"/metrics"} if settings.open_metrics else set())
        self.lists = LISTS if settings.open_lists else frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on with its caller."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            caller = await self._caller(scope)
        except CosyrtError as error:
            await refuse(scope, receive, send, error)
            return
        scope.setdefault("state", {})[CALLER] = caller
        await self.app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        headers = Headers(scope=scope)
        self._check_origin(headers)
        path, reads = scope["path"], scope.get("method") in ("GET", "HEAD")
        if reads and path in self.always:  # without a look at the database: it may be gone
            return NOBODY
        if not await self.accounts.needs_keys():
            self._check_host(headers)
            return LOCAL_CALLER
        key = key_in(headers)
        if reads and path in self.lists and key is None:
            return NOBODY
        peer, _ = scope.get("client") or ("", 0)
        return await self.accounts.authenticate(key, peer)

    def _check_origin(self, headers: Headers) -> None:
        """Refuse what a web page of somebody else sends through the browser of a user.

        Raises:
            NotAllowed: the page was not named.
        """
        origin = headers.get("origin")
        if origin is None or origin in self.origins or _parts(origin).netloc == headers.get("host", ""):
            return
        raise NotAllowed(
            f"the page {origin[:100]} may not call this service; name it in the setting 'origins'",
            code="origin_not_allowed",
        )

    def _check_host(self, headers: Headers) -> None:
        """Refuse a name that is not ours: a page can make its own name point to this machine.

        Raises:
            NotAllowed: the name is neither an address, nor localhost, nor one that was named.
        """
        host = _parts(f"//{headers.get('host', '')}").hostname or ""
        if host in self.hosts or _is_address(host):
            return
        raise NotAllowed(
            f"this service is not called {host[:100]!r}; name it in the setting 'hosts'",
            code="host_not_allowed",
        )


def caller_of(scope: Scope) -> Caller:
    """The caller that the gate has let in."""
    caller: Caller = scope["state"][CALLER]
    return caller


def _parts(address: str) -> SplitResult:
    """The parts of an address; what is none, as with half of a pair of brackets, has none."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def words(text: str) -> set[str]:
    """The parts of a setting that are parted by commas."""
    return {word.strip() for word in text.split(",") if word.strip()}
