"""One connection of an event stream over requests, as `EventSource.connect` is one over aiohttp."""

import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from threading import Thread
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from taskstream.client import environment, errors
from taskstream.client.parser import MAX_EVENT_BYTES, LineDecoder, check_size

Result = TypeVar("Result")

CHUNK_BYTES = 16 * 1024

NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
"""What can happen to a connection: there is hope for the next one."""


class Adapter(HTTPAdapter):
    """Connections whose proxies and certificate authorities are those of `environment`."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401
        """The same, whatever requests itself has found in the environment."""
        own = {"verify": True, "proxies": environment.proxies(request.url or "")}
        return super().send(request, **{**options, **own})

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - requests' own
        """The same with other authorities."""
        super().init_poolmanager(*arguments, ssl_context=environment.tls(), **options)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - requests' own
        """The same through a proxy."""
        return super().proxy_manager_for(*arguments, ssl_context=environment.tls(), **options)


def open_session(url: str, headers: Mapping[str, str] | None = None) -> requests.Session:
    """A session for this server, with these headers; see `environment` for what the environment says."""
    session = requests.Session()
    session.headers.update(headers or {})
    session.trust_env = environment.proxies_count(url)
    adapter = Adapter()  # one for both, as it takes 20 ms to load the certificates
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # no traceback for a connection that is cut
    return session


def send(
    session: requests.Session,
    method: str,
    url: str,
    timeout: tuple[float, float],
    headers: Mapping[str, str],
    **options: Any,  # noqa: ANN401 - requests' own
) -> requests.Response:
    """The answer to a request, also where a hook of the session raises for its status.

    `timeout` is in seconds: until the head is whole, and from one piece to the next, as in requests.
    Raises `InvalidAddress`, also for that of a redirect, or one of the `NETWORK_ERRORS`.
    """
    options["headers"] = {  # in UTF-8 as aiohttp sends them: http.client takes Latin-1 alone
        name: value.encode() if isinstance(value, str) and not value.isascii() else value
        for name, value in {**session.headers, **headers}.items()
    }
    request = partial(session.request, method, url, stream=True, timeout=timeout, **options)
    try:
        return call_within(timeout[0], request, close_late)
    except requests.HTTPError as error:
        if error.response is None:
            raise
        return error.response
    except requests.exceptions.InvalidHeader as error:  # of the session: the caller's mistake
        raise ValueError(str(error)) from error
    except (ValueError, urllib3.exceptions.LocationParseError) as error:  # requests lets idna's pass
        error.with_traceback(None)  # whose frames keep the answer that requests has left open
        raise errors.InvalidAddress(f"Expected an http address, got an invalid one: {error}") from error


@contextmanager
def connect(
    session: requests.Session,
    url: str,
    *,
    last_event_id: str = "",
    open_timeout: float,
    read_timeout: float,
    max_event_bytes: int = MAX_EVENT_BYTES,
    on_bytes: Callable[[bytes], object] = lambda _: None,
) -> Iterator[Iterator[bytes]]:
    """The whole events of one connection, until the server ends it; closed on leaving.

    Raises `EventSourceError`, or one of the `NETWORK_ERRORS`. Both timeouts are in seconds.
    `on_bytes` is called with all that arrives, comments too, which SSEClient drops.
    """
    headers = {"Accept": errors.MIME_TYPE, "Cache-Control": "no-cache"}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    with send(session, "GET", url, (open_timeout, read_timeout), headers) as response:
        if not errors.is_event_stream(response.status_code, response.headers):
            body = read_beginning(response, read_timeout)
            if response.status_code == 200 and not body:  # http.client takes a head that was cut for whole
                raise requests.ConnectionError("The head of the answer was cut off.")
            raise errors.answer_error(response.status_code, response.reason, response.headers, body)
        # Not by `iter_content`, which would wait for the end of each chunk, however far away.
        read = partial(read_within, read_timeout, response, response.raw.read1, CHUNK_BYTES)
        yield whole_events(iter(read, b""), max_event_bytes, on_bytes)


def whole_events(
    chunks: Iterable[bytes],
    max_event_bytes: int = MAX_EVENT_BYTES,
    on_bytes: Callable[[bytes], object] = lambda _: None,
) -> Iterator[bytes]:
    """The events of a stream, each of them whole, in UTF-8, its lines ended by LF.

    SSEClient would hand over half an event when the connection is cut, stop at bytes that aren't UTF-8, and
    take in an endless line until the memory is full.
    """
    decoder = LineDecoder()
    event: list[str] = []
    event_bytes = 0
    for chunk in chunks:
        on_bytes(chunk)
        event_bytes += len(chunk)
        for line in decoder.decode(chunk):
            if line:
                event.append(line)
            else:
                yield "\n".join([*event, "", ""]).encode()
                event, event_bytes = [], 0
        check_size(event_bytes, max_event_bytes)


def read_beginning(response: requests.Response, seconds: float) -> bytes:
    """The body of an answer that is no stream, or its first `ERROR_BODY_BYTES`."""
    return read_within(seconds, response, response.raw.read, errors.ERROR_BODY_BYTES)


def read_within(
    seconds: float, response: requests.Response, read: Callable[..., bytes], count: int
) -> bytes:
    """Read up to so many bytes of a body. Raises `TimeoutError` if there are none within so many seconds.

    A socket's timeout doesn't see what decodes to nothing, or the fields behind a body that never end.
    """
    try:
        descriptor = response.raw.fileno()
    except (AttributeError, OSError, ValueError):  # the body has ended, and its connection is closed
        return read(count, decode_content=True)
    # One of our own: the connection's may be closed by its timeout, and given to another.
    with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as connection:

        def end(reading: Future[bytes]) -> None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            reading.exception()  # wait for the end of the reading: only then may the response be closed

        return call_within(seconds, partial(read, count, decode_content=True), end)


def call_within(
    seconds: float, call: Callable[[], Result], give_up: Callable[[Future[Result]], object]
) -> Result:
    """What a call returns or raises, in a thread that a program doesn't wait for at its end.

    Raises `TimeoutError` if that isn't known after so many seconds, once it was told to `give_up`.
    """
    future: Future[Result] = Future()
    Thread(target=settle, args=(future, call), daemon=True).start()
    try:
        return future.result(seconds)
    except (TimeoutError, KeyboardInterrupt):
        give_up(future)
        raise
    finally:
        del future  # else an error is in a cycle with its traceback, and keeps a socket open


def settle(future: Future[Result], call: Callable[[], Result]) -> None:
    """Hand over what a call returns or raises."""
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
        future.set_exception(error)
    finally:
        del future  # likewise


def close_late(answer: Future[requests.Response]) -> None:
    """Close an answer that nobody waits for any more, as soon as it is there."""
    answer.add_done_callback(lambda late: None if late.exception() else late.result().close())
