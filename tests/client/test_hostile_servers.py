"""Servers that mean harm to the clients, which end with a sentence and without filling the memory."""

import gzip
import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import pytest

from taskstream.client.errors import EventTooLarge
from taskstream.client.protocol import EVENT_BYTES
from taskstream.client.sync_stream import whole_events
from tests.support.programs import Program

MEMORY_BYTES = 900 * 1024 * 1024
"""Of address space, of which Python with its libraries takes a third."""
LIMITED = f"""
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES}, {MEMORY_BYTES}))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
MEGABYTE = b"x" * 1024 * 1024


@contextmanager
def server(*answer: bytes, endless: bytes = b"") -> Iterator[str]:
    """A server that answers every request with this, and goes on with something endless; its address."""

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            client.recv(65536)
            for part in itertools.chain(answer, itertools.repeat(endless) if endless else ()):
                client.sendall(part)

    def accept() -> None:
        with suppress(OSError):
            while True:
                Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # or a thread in accept() would keep it open


def bomb() -> bytes:
    """Two gigabytes of zeros, in two megabytes."""
    part = gzip.compress(bytes(64 * 1024 * 1024), mtime=0)
    return b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (32 * len(part)) + 32 * part


ENDLESS = {
    "line": ((STREAM + b"\r\ndata: ",), MEGABYTE),
    "event": ((STREAM + b"\r\n",), b"data: x\n" * 100_000),
    "refusal": ((b"HTTP/1.1 404 Not Found\r\n\r\n",), MEGABYTE),
    "page": ((b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n",), MEGABYTE),
    "header": ((b"HTTP/1.1 200 OK\r\nX: ",), MEGABYTE),
    "headers": ((b"HTTP/1.1 200 OK\r\n",), b"X: x\r\n" * 10_000),
    "redirects": ((b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /again\r\n\r\n",), b""),
    "chunk": ((STREAM + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffff\r\ndata: ",), MEGABYTE),
    "chunk size": ((STREAM + b"Transfer-Encoding: chunked\r\n\r\n",), b"0" * 1024 * 1024),
    "zeros in a stream": ((STREAM, bomb()), b""),
    "zeros in a refusal": ((b"HTTP/1.1 404 Not Found\r\n", bomb()), b""),
}


WATCH = ["--task-id", "x"]
QUICK = (
    *("line", "event", "refusal", "page", "chunk size"),
    *("zeros in a stream", "zeros in a refusal"),
)
TRIES = [
    *[pytest.param("client.py", name, WATCH) for name in QUICK if name != "chunk size"],
    *[pytest.param("sse_client.py", name, WATCH) for name in QUICK],
    *[pytest.param(client, "zeros in a refusal", []) for client in ("client.py", "sse_client.py")],
    *[
        pytest.param(client, name, flags, marks=pytest.mark.slow)
        for client in ("client.py", "sse_client.py")
        for name, flags in [
            *[(name, WATCH) for name in ("header", "headers", "redirects", "chunk")],
            *[(name, []) for name in ("refusal", "page", "header", "headers")],
        ]
    ],
]


@pytest.mark.parametrize(("client", "name", "flags"), TRIES)
def test_endless(client: str, name: str, flags: list[str]) -> None:
    """Whatever has no end, a client gives up on it, with one sentence."""
    answer, endless = ENDLESS[name]
    with server(*answer, endless=endless) as url:
        arguments = (client, "--url", url, "--patience", "0.5", *flags)
        with Program("-c", LIMITED, *arguments) as program:
            assert program.wait(60) == 2, program.output
    assert "Traceback" not in program.output
    assert "MemoryError" not in program.output


def test_largest_event() -> None:
    """What one event may be, the synchronous client counts too."""
    event = b"data: " + b"x" * (EVENT_BYTES - 8) + b"\n\n"
    pieces = (event[start : start + 1000] for start in range(0, len(event), 1000))
    assert list(whole_events(pieces, EVENT_BYTES)) == [event]
    with pytest.raises(EventTooLarge, match="at most"):
        list(whole_events(itertools.repeat(b"x" * 1000), EVENT_BYTES))
