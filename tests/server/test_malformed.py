"""Malformed requests, as parsers are tested with: this connection takes none that uvicorn's own refuses.

The cases are facts about HTTP/1.1 that the corpora of llhttp and http-garden look at.
"""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from fastapi import FastAPI, Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from taskstream.server.connection import Connection
from tests.support.threads import ThreadServer

HEADS = {
    "two lengths": b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "two equal lengths": b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "list of lengths": b"Content-Length: 1, 1\r\n\r\nx",
    "signed length": b"Content-Length: +1\r\n\r\nx",
    "negative length": b"Content-Length: -1\r\n\r\nx",
    "hexadecimal length": b"Content-Length: 0x1\r\n\r\nx",
    "huge length": b"Content-Length: 99999999999999999999999\r\n\r\nx",
    "space in length": b"Content-Length: 1 1\r\n\r\nx",
    "length and coding": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "tab before coding": b"Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
    "vertical tab before coding": b"Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n",
    "no chunk size": b"Transfer-Encoding: chunked\r\n\r\n\r\n\r\n",
    "signed chunk size": b"Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n",
    "prefixed chunk size": b"Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
    "huge chunk size": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n0\r\n\r\n",
    "chunk too long": b"Transfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n",
    "bare newline behind chunk": b"Transfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n",
    "chunk extension": b'Transfer-Encoding: chunked\r\n\r\n1;a="b"\r\nx\r\n0\r\n\r\n',
    "carriage return in extension": b"Transfer-Encoding: chunked\r\n\r\n1;a\rb\r\nx\r\n0\r\n\r\n",
    "space before colon": b"Content-Length : 1\r\n\r\nx",
    "folded line": b"X: a\r\n b\r\n\r\n",
    "folded first line": b" X: a\r\n\r\n",
    "no colon": b"X\r\n\r\n",
    "no name": b": a\r\n\r\n",
    "bare newlines": b"X: a\n\n",
    "bare carriage return": b"X: a\rY: b\r\n\r\n",
    "NUL in value": b"X: a\0b\r\n\r\n",
    "NUL in name": b"X\0: a\r\n\r\n",
    "bytes in value": b"X: \xff\xfe\r\n\r\n",
    "bytes in name": b"X\xff: a\r\n\r\n",
}
LINES = {
    "no version": b"POST /\r\n",
    "lower version": b"POST / http/1.1\r\n",
    "version 2": b"POST / HTTP/2.0\r\n",
    "long version": b"POST / HTTP/1.10\r\n",
    "two spaces": b"POST  / HTTP/1.1\r\n",
    "tab": b"POST\t/ HTTP/1.1\r\n",
    "lower method": b"post / HTTP/1.1\r\n",
    "unknown method": b"WHAT / HTTP/1.1\r\n",
    "space in target": b"POST /a b HTTP/1.1\r\n",
    "NUL in target": b"POST /\0 HTTP/1.1\r\n",
    "bytes in target": b"POST /\xff HTTP/1.1\r\n",
    "newline first": b"\r\nPOST / HTTP/1.1\r\n",
    "carriage return first": b"\rPOST / HTTP/1.1\r\n",
}
REQUESTS = {name: b"POST / HTTP/1.1\r\nHost: x\r\n" + rest for name, rest in HEADS.items()}
REQUESTS |= {name: line + b"Host: x\r\n\r\n" for name, line in LINES.items()}
LAST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def ports() -> Iterator[list[int]]:
    """Of the same application, under our connection and under uvicorn's."""
    app = FastAPI()

    @app.post("/{path:path}")
    async def read(request: Request) -> int:
        return len(await request.body())

    with ThreadServer(app, Connection) as ours, ThreadServer(app, HttpToolsProtocol) as theirs:
        yield [int(server.url.rpartition(":")[2]) for server in (ours, theirs)]


def accepted(port: int, request: bytes) -> int:
    """How many answers are 200, when these bytes are followed by a good request."""
    answers = b""
    with socket.create_connection(("127.0.0.1", port)) as client, suppress(TimeoutError, ConnectionError):
        client.sendall(request + LAST)
        client.settimeout(1)  # where a body is awaited that does not come
        while received := client.recv(65536):
            answers += received
    return answers.count(b"HTTP/1.1 200")


@pytest.mark.parametrize("name", REQUESTS)
def test_never_laxer(ports: list[int], name: str) -> None:
    """What uvicorn refuses is refused here too."""
    ours, theirs = (accepted(port, REQUESTS[name]) for port in ports)
    assert ours <= theirs


def test_what_is_good_is_answered(ports: list[int]) -> None:
    """Else that would say nothing."""
    good = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
    assert [accepted(port, good) for port in ports] == [2, 2]
