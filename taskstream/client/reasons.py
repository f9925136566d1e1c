"""Why a connection failed, in the system's words: libraries wrap them in many layers of their own."""

import errno
import os
import socket
import ssl
from collections.abc import Iterator

TIMED_OUT = "timed out"


def reason(error: BaseException) -> str:
    """Why a connection failed."""
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
    refused = (ConnectionRefusedError, socket.gaierror, ssl.SSLError)
    return any(isinstance(cause, refused) for cause in causes(error))


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it came from, down to the first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
