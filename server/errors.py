"""Everything that the server raises on purpose, and how each is told to whom.

    PsycheError
     ├─ ConfigurationError           exit status 2, one line
     ├─ InvalidError                 HTTP 400: a field is wrong (or 413, 415 by subclass)
     │   ├─ TooBigError              HTTP 413
     │   └─ UnsupportedMediaError    HTTP 415
     ├─ ForbiddenError               HTTP 403 (UnauthorizedError: 401)
     ├─ NotFoundError                HTTP 404
     │   └─ UnknownCanvasError       WebSocket 4404
     ├─ ConflictError                HTTP 409
     ├─ TooManyError                 HTTP 429; worth another try when it says
     ├─ ServerFullError              HTTP 503, WebSocket 1013
     ├─ ProtocolError                WebSocket 1002 (or its own close code)
     │   └─ MessageTooBigError       WebSocket 1009
     └─ InferenceError               HTTP 502
         ├─ InferenceUnavailableError    HTTP 503; retried with backoff
         │   └─ InferenceBusyError       HTTP 503; retried when it says
         ├─ InferenceRejectedError       HTTP 400; never retried
         ├─ InferenceCancelledError      HTTP 409; never retried: somebody gave the picture up
         └─ InferenceFailedError         HTTP 502; the engine failed

Messages are one lower-case sentence with the values in it. `code` is the word that JSON errors
carry; the README lists them all.
"""

from __future__ import annotations


class PsycheError(Exception):
    """Anything we raise on purpose.

    Attributes:
        code: A word for programs.
        status: The HTTP status that tells it.
        field: The offending field of the request, where there is one.
    """

    code = "internal"
    status = 500

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class ConfigurationError(PsycheError):
    """The settings do not allow a start."""

    code = "configuration"


class InvalidError(PsycheError):
    """A field of a request is wrong; nothing was changed."""

    code = "invalid"
    status = 400


class TooBigError(InvalidError):
    """A body, an image or a message is over its limit."""

    code = "too_big"
    status = 413


class UnsupportedMediaError(InvalidError):
    """A body is of a type that the route does not take."""

    code = "unsupported_media_type"
    status = 415


class UnauthorizedError(PsycheError):
    """The token is missing or wrong."""

    code = "unauthorized"
    status = 401


class ForbiddenError(PsycheError):
    """The request comes from where it may not come from."""

    code = "forbidden"
    status = 403


class NotFoundError(PsycheError):
    """There is no such thing."""

    code = "not_found"
    status = 404


class UnknownCanvasError(NotFoundError):
    """There is no canvas with this slug."""

    code = "unknown_canvas"

    def __init__(self, slug: str) -> None:
        super().__init__(f"there is no canvas {slug!r}", field="slug")
        self.slug = slug


class ConflictError(PsycheError):
    """The request does not fit the state that things are in."""

    code = "conflict"
    status = 409


class TooManyError(PsycheError):
    """Somebody asks for something too often.

    Attributes:
        retry_after_s: When to try again, whole seconds from now.
    """

    code = "too_many"
    status = 429

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(f"{message}; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class ServerFullError(PsycheError):
    """A limit on how many of something there may be is reached."""

    code = "full"
    status = 503

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"there are already {limit} {what}, which is the limit")
        self.limit = limit


class ProtocolError(PsycheError):
    """A peer broke the wire contract.

    Attributes:
        close_code: The WebSocket close code that tells it.
    """

    code = "protocol"
    status = 400
    close_code = 1002


class MessageTooBigError(ProtocolError):
    """A peer's message is over the limit."""

    code = "too_big"
    close_code = 1009

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"message of {size_bytes} bytes exceeds the limit of {limit_bytes} bytes")


class InferenceError(PsycheError):
    """The inference service did not give a picture."""

    code = "inference"
    status = 502


class InferenceUnavailableError(InferenceError):
    """The service cannot be reached or is starting; worth another try."""

    code = "inference_unavailable"
    status = 503


class InferenceBusyError(InferenceUnavailableError):
    """The service is there and has too much to do; worth another try.

    Attributes:
        retry_after_s: When to try again, seconds from now.
    """

    code = "inference_busy"

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InferenceRejectedError(InferenceError):
    """The service will never accept this request."""

    code = "invalid"
    status = 400


class InferenceCancelledError(InferenceError):
    """Somebody cancelled the request at the service, by its id."""

    code = "inference_cancelled"
    status = 409


class InferenceFailedError(InferenceError):
    """The service accepted the request and failed to paint it."""

    code = "inference_failed"
