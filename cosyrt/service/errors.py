"""What the service answers when it refuses: an HTTP status, OpenAI's words for it, one line.

ServiceError
├── BadRequest           400  the request cannot be understood or used
├── NotAuthenticated     401  no key, or one that is not known, over or revoked
├── NotAllowed           403  the key may not do this
├── NotFound             404  there is no such thing, or it belongs to somebody else
├── Conflict             409  the name is taken
├── Gone                 410  it was there, and its consent ended
├── TooManyRequests      429  the caller has used up what it may ask for now
├── Overloaded           503  more work is waiting than may wait
├── TooLate              504  the request was not over in its time
├── StoreUnavailable     503  the database does not answer, or not in time
└── StoreFull            507  the disk of the database is full
"""

from __future__ import annotations

from cosyrt.errors import CosyrtError


class ServiceError(CosyrtError):
    """Base of the refusals of the service; each class has its status and OpenAI's `type` and `code`."""

    exit_code = 8
    status = 500
    kind = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.param, self.retry_after_s = param, retry_after_s
        if code is not None:
            self.code = code


class BadRequest(ServiceError):
    """The request cannot be understood or used."""

    status, kind = 400, "invalid_request_error"


class NotAuthenticated(ServiceError):
    """No key was given, or one that is not known, has expired or was revoked."""

    status, kind, code = 401, "authentication_error", "invalid_api_key"


class NotAllowed(ServiceError):
    """The key may not do this."""

    status, kind, code = 403, "permission_error", "insufficient_permissions"


class NotFound(ServiceError):
    """There is no such thing, or it belongs to somebody else."""

    status, kind, code = 404, "not_found_error", "not_found"


class Conflict(ServiceError):
    """The name is taken."""

    status, kind, code = 409, "invalid_request_error", "already_exists"


class Gone(ServiceError):
    """The thing was there and is no more."""

    status, kind, code = 410, "not_found_error", "gone"


class TooManyRequests(ServiceError):
    """The caller has used up what it may ask for at the moment."""

    status, kind, code = 429, "rate_limit_error", "rate_limit_exceeded"


class Overloaded(ServiceError):
    """More work is waiting than may wait."""

    status, code = 503, "overloaded"


class TooLate(ServiceError):
    """The request was not over in its time."""

    status, code = 504, "timeout"


class StoreUnavailable(ServiceError):
    """The database does not answer, or not in time."""

    status, code = 503, "database_unavailable"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: float = 1.0) -> None:
        super().__init__(message, code=code, retry_after_s=retry_after_s)


class StoreFull(StoreUnavailable):
    """The disk or quota of the database is full: nothing can be written, reading goes on."""

    status, code = 507, "storage_full"
