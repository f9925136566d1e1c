"""Why there are no more events: the answer is no event stream, or the connection failed."""

import errno
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

MIME_TYPE = "text/event-stream"
ERROR_BODY_BYTES = 64 * 1024
"""How much of an answer that is no stream is kept, for those who want to show it."""
TIMED_OUT = "timed out"


class EventSourceError(Exception):
    """The server's answer was not an event stream: another try would not help."""

    def __init__(
        self, message: str, status: int | None = None, body: bytes = b"", retry_seconds: float = 0
    ) -> None:
        """`status` is None if there was no answer; `retry_seconds` is how long the server asks to wait."""
        super().__init__(message)
        self.status = status
        self.body = body
        self.retry_seconds = retry_seconds


class StatusError(EventSourceError):
    """The status was not 200."""


class NoContent(StatusError):
    """The status was 204: nothing more will come."""


class MimeTypeError(EventSourceError):
    """The status was 200, but the body was something else than an event stream."""


class EventTooLarge(EventSourceError):
    """An event was larger than the limit, or did not end."""


class InvalidAddress(EventSourceError):
    """The address, or the one that a redirect leads to, is invalid."""


def is_event_stream(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer is an event stream; the parameters of its type don't matter."""
    return status == 200 and headers.get("Content-Type", "").partition(";")[0].strip().lower() == MIME_TYPE


def answer_error(
    status: int, phrase: str | None, headers: Mapping[str, str], body: bytes
) -> EventSourceError:
    """What is wrong with an answer that is no event stream."""
    if status == 200:
        return MimeTypeError(f"Expected {MIME_TYPE}, got {headers.get('Content-Type', '')}.", status, body)
    if status == 204:
        return NoContent("Expected an event stream, got status 204: nothing more will come.", status)
    return StatusError(f"Expected status 200, got {status} {phrase}.", status, body, retry_after(headers))


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that a server asks to wait, as a number or a date (RFC 9110, 10.2.3), or 0."""
    value = headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        return float(value)
    with suppress(ValueError, OverflowError):
        return max(0, parsedate_to_datetime(value).timestamp() - time.time())
    return 0


def reason(error: BaseException) -> str:
    """Why a connection failed, in the system's words: libraries wrap them in many layers of their own."""
    words = "the connection broke"
    for cause in causes(error):
        match cause:
            case ssl.SSLCertVerificationError(verify_message=str(problem)):
                return problem
            case ssl.SSLError(reason=str(problem)):  # aiohttp's own SSL errors have none
                return f"TLS: {problem.replace('_', ' ').lower()}"
            case TimeoutError():
                words = TIMED_OUT
            case ConnectionRefusedError():
                words = "Connection refused"  # asyncio puts the address here, and no reason
            case socket.gaierror():
                words = str(cause.strerror)
            case OSError(errno=int(number)) if number in errno.errorcode:
                words = os.strerror(number)
    return words


def is_unreachable(error: BaseException) -> bool:
    """Whether no connection was made: the address, the port or the certificate is wrong."""
    unreachable = (ConnectionRefusedError, socket.gaierror, ssl.SSLError)
    return any(isinstance(cause, unreachable) for cause in causes(error))


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it came from, down to the first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
