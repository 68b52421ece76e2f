"""GET /docs: every route for people to read, as plain HTML.

The usual page of FastAPI runs scripts of a foreign server on the origin of this service, where the page keeps
a user's key. This one runs none.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse
from starlette.routing import WebSocketRoute

router = APIRouter(include_in_schema=False)

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
HEAD = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>cosyrt: the API</title><style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
article { border-top: 1px solid #8884; padding: .5rem 0 }
table { border-collapse: collapse } td { padding: .1rem 1rem .1rem 0; vertical-align: top }
</style><h1>cosyrt: the API</h1>
"""
FOOT = '<p>The same as data: <a href="openapi.json">openapi.json</a></p></html>'


@router.get("/docs", response_class=HTMLResponse)
async def docs(http: Request) -> HTMLResponse:
    """Every route, with what it takes."""
    sockets = (route for route in http.app.routes if isinstance(route, WebSocketRoute))
    parts = [HEAD, *_routes(http.app.openapi()), *map(_socket, sockets), FOOT]
    return HTMLResponse("\n".join(parts), headers={"Content-Security-Policy": POLICY})


def _routes(document: dict[str, Any]) -> Iterator[str]:
    """An article for each route of an OpenAPI document."""
    schemas = document.get("components", {}).get("schemas", {})
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            rows = [_parameter(each) for each in route.get("parameters", ())]
            content: dict[str, Any] = route.get("requestBody", {}).get("content", {})
            body: dict[str, Any] = next((each["schema"] for each in content.values()), {})
            rows += _fields(_resolved(body, schemas), schemas)
            taken = f"<p>Takes {escape(' or '.join(content))}:</p>" if content else ""
            yield _article(f"{method.upper()} {path}", route.get("description", ""), taken + _table(rows))


def _socket(route: WebSocketRoute) -> str:
    """An article for a WebSocket, of which an OpenAPI document says nothing."""
    return _article(f"WebSocket {route.path}", route.endpoint.__doc__ or "", "")


def _article(title: str, about: str, rest: str) -> str:
    return f"<article><h2><code>{escape(title)}</code></h2><p>{escape(about)}</p>{rest}</article>"


def _parameter(each: dict[str, Any]) -> tuple[str, str, str]:
    return each["name"], f"{_kind(each.get('schema', {}))} ({each['in']})", each.get("description", "")


def _fields(schema: dict[str, Any], schemas: dict[str, Any]) -> list[tuple[str, str, str]]:
    needed = schema.get("required", ())
    return [
        (
            name,
            _kind(_resolved(field, schemas)) + (", needed" if name in needed else ""),
            field.get("description", ""),
        )
        for name, field in schema.get("properties", {}).items()
    ]


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference stands for, or the schema itself."""
    found: dict[str, Any] = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
    return found


def _kind(schema: dict[str, Any]) -> str:
    """What values there can be, in a few words."""
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    limits = [str(schema[name]) for name in ("minimum", "maximum") if name in schema]
    default = f", {schema['default']!r} unless given" if schema.get("default") not in (None, "") else ""
    kind = str(schema.get("type", "object"))
    return kind + (f" {' to '.join(limits)}" if limits else "") + default


def _table(rows: list[tuple[str, str, str]]) -> str:
    cells = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>" if rows else ""
