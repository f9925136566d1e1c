"""One connection of an event stream over requests, as `EventSource.connect` is one over aiohttp."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import parse_headers

import requests
import urllib3

from taskstream.client.errors import EventSourceError, InvalidAddress, MimeTypeError, NoContent, StatusError
from taskstream.client.parser import MAX_EVENT_BYTES, MIME_TYPE, LineDecoder, check_size, is_event_stream

CHUNK_BYTES = 16 * 1024
BODY_BYTES = 64 * 1024
"""How much of an answer that is no stream is kept."""

NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
"""What can happen to a connection: there is hope for the next one."""


def open_session() -> requests.Session:
    """A session that behaves as aiohttp's does."""
    session = requests.Session()
    session.trust_env = False  # a proxy would be asked for localhost
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # no traceback for a connection that is cut
    return session


def skip_redirect_body(response: requests.Response, **_: object) -> None:
    """Close a redirect before requests reads its body, which may be endless."""
    if response.is_redirect:
        response.close()


def refuse_redirect(response: requests.Response, **_: object) -> None:
    """Make a redirect an answer like any other: `allow_redirects=False` parses its address all the same."""
    response.headers.pop("Location", None)


REFUSE_REDIRECTS = {"response": refuse_redirect}
"""The hooks of a request that must not be sent anywhere else."""


@contextmanager
def connect(
    session: requests.Session,
    url: str,
    *,
    last_event_id: str = "",
    open_timeout: float,
    read_timeout: float,
    max_event_bytes: int = MAX_EVENT_BYTES,
) -> Iterator[Iterator[bytes]]:
    """The whole events of one connection, until the server ends it; closed on leaving.

    Raises `EventSourceError`, or one of the `NETWORK_ERRORS`. Both timeouts are in seconds.
    """
    headers = {"Accept": MIME_TYPE, "Cache-Control": "no-cache"}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    timeout, hooks = (open_timeout, read_timeout), {"response": skip_redirect_body}
    try:
        response = session.get(url, headers=headers, timeout=timeout, hooks=hooks, stream=True)
    except (ValueError, urllib3.exceptions.LocationParseError) as error:  # requests lets idna's pass
        raise InvalidAddress(f"Expected an http address, got an invalid one: {error}") from error
    with response:
        check_answer(response)
        yield whole_events(read_chunks(response), max_event_bytes)


def check_answer(response: requests.Response) -> None:
    """Raise an `EventSourceError` unless the answer is an event stream."""
    status, content_type = response.status_code, response.headers.get("Content-Type", "")
    if status == 204:
        raise NoContent("Expected an event stream, got status 204: nothing more will come.", status)
    if status != 200:
        message = f"Expected status 200, got {status} {response.reason}."
        raise StatusError(message, status, read_body(response))
    if not is_event_stream(content_type):
        if not read_body(response):  # http.client takes a head that was cut off for a whole one
            raise requests.ConnectionError("The head of the answer was cut off.")
        raise MimeTypeError(f"Expected {MIME_TYPE}, got {content_type}.", status)


def read_chunks(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives.

    By `read1`: `iter_content` would wait for the end of each chunk, and of a chunk size, however far away;
    http.client, which `read1` leaves them to, takes 64 KiB of a chunk size.
    """
    # It would take trailers without end. Headers look the same, and it takes no more than 100 of them.
    if answer := getattr(response.raw, "_original_response", None):  # a name of urllib3's own
        answer._read_and_discard_trailer = partial(parse_headers, answer.fp)
    while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
        yield chunk


def whole_events(chunks: Iterable[bytes], max_event_bytes: int = MAX_EVENT_BYTES) -> Iterator[bytes]:
    """The events of a stream, each of them whole, in UTF-8, its lines ended by LF.

    SSEClient would hand over half an event when the connection is cut, stop at bytes that aren't UTF-8, and
    take in an endless line until the memory is full.
    """
    decoder = LineDecoder()
    event: list[str] = []
    event_bytes = 0
    for chunk in chunks:
        event_bytes += len(chunk)
        for line in decoder.decode(chunk):
            if line:
                event.append(line)
            else:
                yield "\n".join([*event, "", ""]).encode()
                event, event_bytes = [], 0
        check_size(event_bytes, max_event_bytes)


def read_body(response: requests.Response) -> bytes:
    """The body of an answer that is no stream, or its beginning."""
    body = bytearray()
    for chunk in read_chunks(response):
        body += chunk
        if len(body) >= BODY_BYTES:
            break
    return bytes(body)


__all__ = [
    "NETWORK_ERRORS",
    "REFUSE_REDIRECTS",
    "EventSourceError",
    "connect",
    "open_session",
    "read_body",
    "whole_events",
]
