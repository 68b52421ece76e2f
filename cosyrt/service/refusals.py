"""Errors as clients are told of them: OpenAI's body over HTTP, a status before a WebSocket is accepted."""

from __future__ import annotations

import logging
from secrets import token_hex

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from cosyrt.errors import CosyrtError, kind_and_reason
from cosyrt.service.errors import BadRequest, NotFound, ServiceError
from cosyrt.service.wire import answer_to, answer_to_fields, error_body, error_headers

log = logging.getLogger(__name__)

LEFT = 499  # in the log, as nginx has it: the client closed its request


def response_to(error: CosyrtError) -> Response:
    """The response that tells a client of an error."""
    answer = answer_to(error)
    if answer.status >= 500 and not isinstance(error, ServiceError):
        log.warning("refused or failed: %s", kind_and_reason(error, 300))
    return JSONResponse(error_body(answer), answer.status, error_headers(answer))


async def refuse(scope: Scope, receive: Receive, send: Send, error: CosyrtError) -> None:
    """Answer a request, or the handshake of a WebSocket, that goes no further."""
    response = response_to(error)
    if scope["type"] == "websocket":
        await receive()  # its connect event
    await response(scope, receive, send)


def answer_errors(app: FastAPI) -> None:
    """Let every error of a route be answered in the one shape that clients read."""
    app.add_exception_handler(CosyrtError, _on_ours)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_fields)
    app.add_exception_handler(ValidationError, _on_fields)
    app.add_exception_handler(ClientDisconnect, _on_left)
    app.add_exception_handler(Exception, _on_bug)


async def _on_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, CosyrtError)
    return response_to(error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.scope['path'][:200]}"
    if error.status_code == 404:
        answer: ServiceError = NotFound(f"there is no {where}; see /docs for what there is")
    else:
        answer = BadRequest(f"{where}: {error.detail}")
        answer.status = error.status_code
    return JSONResponse(error_body(answer), answer.status, {**error_headers(answer), **(error.headers or {})})


async def _on_fields(request: Request, error: Exception) -> Response:
    if isinstance(error, ValidationError):
        return response_to(answer_to_fields(error))
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = str(first["loc"][-1])
    return response_to(BadRequest(f"{name}: {first['msg']}", param=name, code="invalid_value"))


async def _on_left(request: Request, error: Exception) -> Response:
    """Answer nobody: the client left in the middle of its request."""
    return Response(status_code=LEFT)


async def _on_bug(request: Request, error: Exception) -> Response:
    number = token_hex(6)
    log.error("error %s: %s", number, kind_and_reason(error, 300), exc_info=error)
    answer = ServiceError(f"this is a bug of the service; its log says more under {number}", code="bug")
    return JSONResponse(error_body(answer), answer.status, error_headers(answer))
