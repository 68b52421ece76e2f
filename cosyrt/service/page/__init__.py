"""The web page of the service: files that a browser asks for come in, they go out with a strict policy.

Everything is in `static/`: one page, plain modules, no framework, nothing from elsewhere.
Read `static/page.js` first; `static/speak.js` is where text becomes sound.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

FOLDER = Path(__file__).parent / "static"
INDEX, MARK = "index.html", "mark.svg"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-cache",  # asked for each time, and answered 304 where nothing is new
}

router = APIRouter(include_in_schema=False)


@cache
def names() -> frozenset[str]:
    """The names of the files that a browser may ask for."""
    return frozenset(path.name for path in FOLDER.iterdir() if path.suffix in TYPES)


def paths() -> frozenset[str]:
    """The paths of the page: they hold nothing of anybody, so they need no key."""
    return frozenset({"/", "/favicon.ico", *(f"/page/{name}" for name in names())})


@router.api_route("/", methods=["GET", "HEAD"])
def index(http: Request) -> Response:
    """The page itself."""
    return _file(http, INDEX)


@router.api_route("/favicon.ico", methods=["GET", "HEAD"])
def icon(http: Request) -> Response:
    """The mark that a browser shows on the tab, which it asks for by this name."""
    return _file(http, MARK)


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
def file(http: Request, name: str) -> Response:
    """One file of the page."""
    if name not in names():
        return PlainTextResponse("there is no such file of the page", 404, HEADERS)
    return _file(http, name)


def _file(http: Request, name: str) -> Response:
    path = FOLDER / name
    response = FileResponse(path, headers=HEADERS, media_type=TYPES[path.suffix], stat_result=path.stat())
    if http.headers.get("if-none-match") == response.headers["etag"]:
        return Response(status_code=304, headers={**HEADERS, "ETag": response.headers["etag"]})
    return response
