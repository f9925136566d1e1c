"""A proxy that breaks connections on purpose, and the ways in which it does.

A fault is data: one that finds a mistake prints itself, and can be pasted and tried alone.
"""

import asyncio
import re
import socket
import struct
import sys
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol, Self

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER for no time at all: closing the socket sends a reset, and drops what has not been sent."""

LAST_EVENT_ID = re.compile(rb"(?im)^Last-Event-ID:.*\n")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One connection: what the server answers, and the client that waits for it."""

    proxy: "FaultProxy"
    answer: asyncio.StreamReader
    client: asyncio.StreamWriter

    async def hand_on(self, count: int = sys.maxsize) -> None:
        """Hand on so many bytes of the answer, as they come; less, if there are less."""
        while count and (data := await self.answer.read(min(count, 65536))):
            count -= len(data)
            self.client.write(data)
            await self.client.drain()


class Fault(Protocol):
    """What becomes of the server's answer on one connection."""

    async def relay(self, exchange: Exchange) -> None:
        """Hand on what comes from the server, or something else. The connection is closed afterwards."""


@dataclass(frozen=True, slots=True)
class Whole:
    """No fault at all."""

    async def relay(self, exchange: Exchange) -> None:
        """Hand on everything."""
        await exchange.hand_on()


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends after so many bytes, head and framing included, whatever they are part of."""

    after: int

    async def relay(self, exchange: Exchange) -> None:
        """Hand on that many bytes."""
        await exchange.hand_on(self.after)


@dataclass(frozen=True, slots=True)
class Reset:
    """The same with a reset instead of an end, as from a machine that has crashed."""

    after: int

    async def relay(self, exchange: Exchange) -> None:
        """Hand on that many bytes, then prepare for a hard end."""
        await exchange.hand_on(self.after)
        peer: socket.socket = exchange.client.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


@dataclass(frozen=True, slots=True)
class End:
    """The answer ends after so many bytes of its body as if it were whole, as from an HTTP/1.0 proxy."""

    after: int

    async def relay(self, exchange: Exchange) -> None:
        """Hand on that many bytes, without their framing."""
        head = await exchange.answer.readuntil(b"\r\n\r\n")
        exchange.client.write(head.replace(b"transfer-encoding: chunked", b"connection: close"))
        left = self.after if b"chunked" in head else 0
        while left and (line := await exchange.answer.readline()) and (size := int(line, 16)):
            data = (await exchange.answer.readexactly(size + 2))[:-2][:left]
            left -= len(data)
            exchange.client.write(data)
            await exchange.client.drain()


@dataclass(frozen=True, slots=True)
class Stall:
    """Silence after so many bytes, until the proxy is told to go on."""

    after: int

    async def relay(self, exchange: Exchange) -> None:
        """Hand on that many bytes, wait, then hand on the rest."""
        await exchange.hand_on(self.after)
        exchange.proxy.stalled.set()
        await exchange.proxy.go_on.wait()
        await exchange.hand_on()


@dataclass(frozen=True, slots=True)
class Split:
    """The same bytes in pieces that begin at these offsets: inside a character, between CR and LF."""

    offsets: tuple[int, ...]

    async def relay(self, exchange: Exchange) -> None:
        """Hand on piece by piece, and let a client in this event loop take each before the next."""
        start = 0
        for end in sorted(self.offsets):
            await exchange.hand_on(end - start)
            start = end
            for _ in range(3):
                await asyncio.sleep(0)
        await exchange.hand_on()


@dataclass(frozen=True, slots=True)
class Answer:
    """Something else instead of the stream: another status, a redirect, somebody's HTML."""

    status: int
    headers: tuple[str, ...] = ()
    body: str = ""

    async def relay(self, exchange: Exchange) -> None:
        """Answer in the server's place; `{again}` in a header is the address that was asked for."""
        again = exchange.proxy.url + exchange.proxy.requests[-1].split()[1].decode()
        body = self.body.encode()
        head = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", "Connection: close"]
        head += [header.format(again=again) for header in self.headers]
        if self.status != 204:
            head.append(f"Content-Length: {len(body)}")
        exchange.client.write("\r\n".join([*head, "", ""]).encode() + body)


BUSY = Answer(503, ("Retry-After: 5",), '{"detail": "All 2 streams are taken: try again later."}')
BAD_GATEWAY = Answer(502, ("Content-Type: text/html",), "<html><h1>502 Bad Gateway</h1></html>")
HTML = Answer(200, ("Content-Type: text/html",), "<html>Please log in to this network</html>")
NO_CONTENT = Answer(204)


@dataclass
class FaultProxy:
    """A TCP proxy on loopback: its first connection has the first fault, those after the last have none."""

    server_port: int
    faults: tuple[Fault, ...] = ()
    requests: list[bytes] = field(default_factory=list)
    """The head of the first request on each connection."""
    forgetful: bool = False
    """Whether the server is not to know the Last-Event-ID."""

    async def __aenter__(self) -> Self:
        self.stalled, self.go_on = asyncio.Event(), asyncio.Event()
        self._connections: list[asyncio.Task[None]] = []
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1000)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for each in self._connections:
            each.cancel()
        for result in await asyncio.gather(*self._connections, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError), closing(writer):  # either end may go
            head = await reader.readuntil(b"\r\n\r\n")
            number = len(self.requests)
            self.requests.append(head)
            fault = self.faults[number] if number < len(self.faults) else Whole()
            answer, request = await asyncio.open_connection("127.0.0.1", self.server_port)
            with closing(request):
                request.write(LAST_EVENT_ID.sub(b"", head) if self.forgetful else head)
                sending = asyncio.create_task(pump(reader, request))
                try:
                    await fault.relay(Exchange(self, answer, writer))
                finally:
                    sending.cancel()
                    await asyncio.wait([sending])


def record(port: int, task_id: str) -> bytes:
    """Every byte that the server answers to a viewer of a task that has ended."""
    with socket.create_connection(("127.0.0.1", port)) as server:
        server.sendall(f"GET /task-progress/{task_id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n0\r\n\r\n"):
            answer += server.recv(65536)
    return answer


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what the client sends, until it goes; then there is no answer to be had any more."""
    with suppress(OSError), closing(writer):
        while data := await reader.read(65536):
            writer.write(data)
