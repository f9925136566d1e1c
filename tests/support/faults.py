"""A proxy that breaks connections on purpose, and the ways in which it does.

A fault is data: one that finds a mistake prints itself, and can be pasted and tried alone.
"""

import asyncio
import re
import socket
import struct
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self

from anyio.from_thread import start_blocking_portal

from tests.support.programs import Server

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER for no time at all: closing the socket sends a reset, and drops what has not been sent."""

LAST_EVENT_ID = re.compile(rb"(?im)^Last-Event-ID:.*\n")
CONNECTION = re.compile(rb"(?im)^Connection:.*\n")
STREAM = re.compile(rb"\w+ \S*(/task-progress[/?]|/stream[ ?])")
CONTENT_LENGTH = re.compile(rb"(?i)\r\nContent-Length: *(\d+)\r\n")

ALL = sys.maxsize


@dataclass(frozen=True, slots=True)
class Exchange:
    """One connection: what the server answers, and the client that waits for it."""

    proxy: "FaultProxy"
    answer: asyncio.StreamReader
    client: asyncio.StreamWriter

    async def hand_on(self, count: int = ALL) -> None:
        """Hand on so many bytes of the answer, as they come; less, if there are less."""
        while count and (data := await self.answer.read(min(count, 65536))):
            count -= len(data)
            self.client.write(data)
            await self.client.drain()


class Fault(ABC):
    """What happens to the request and the answer of one connection."""

    __slots__ = ()

    request_bytes: int = ALL
    """How many bytes of the request the server gets; it isn't connected for none."""

    @abstractmethod
    async def relay(self, exchange: Exchange) -> None:
        """Hand on what comes from the server, or something else. The connection is closed afterwards."""


@dataclass(frozen=True, slots=True)
class Cut(Fault):
    """The connection ends after so many bytes, head and framing included, whatever they are part of."""

    after: int = ALL

    async def relay(self, exchange: Exchange) -> None:
        """Hand on that many bytes."""
        await exchange.hand_on(self.after)


@dataclass(frozen=True, slots=True)
class CutAt(Fault):
    """The connection ends some bytes after these have passed."""

    pattern: bytes
    after: int = 20

    async def relay(self, exchange: Exchange) -> None:
        """Hand on everything up to that place, each byte as it comes."""
        passed = b""
        while self.pattern not in passed and (byte := await exchange.answer.read(1)):
            passed += byte
            exchange.client.write(byte)
        await exchange.hand_on(self.after)


@dataclass(frozen=True, slots=True)
class MuteAfter(Fault):
    """Nothing more comes after these bytes, and nobody closes the connection."""

    last: bytes

    async def relay(self, exchange: Exchange) -> None:
        """Hand on everything up to there in one piece, then wait until the proxy is told to go on."""
        exchange.client.write(await exchange.answer.readuntil(self.last))
        await exchange.proxy.go_on.wait()


@dataclass(frozen=True, slots=True)
class Hold(Fault):
    """The answer is kept until its end, as by a proxy that buffers."""

    async def relay(self, exchange: Exchange) -> None:
        """Hand on everything at once."""
        exchange.client.write(await exchange.answer.read())


@dataclass(frozen=True, slots=True)
class CutRequest(Fault):
    """The server gets so many bytes of the request, head and body, and the client no answer."""

    request_bytes: int = 0

    async def relay(self, exchange: Exchange) -> None:
        """Hand on nothing."""


@dataclass(frozen=True, slots=True)
class Reset(Cut):
    """The same with a reset instead of an end, as from a machine that has crashed."""

    async def relay(self, exchange: Exchange) -> None:
        """Hand on that many bytes, then prepare for a hard end."""
        await exchange.hand_on(self.after)
        peer: socket.socket = exchange.client.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


@dataclass(frozen=True, slots=True)
class End(Cut):
    """The answer ends after so many bytes of its body as if it were whole, as from an HTTP/1.0 proxy."""

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
class Stall(Cut):
    """Silence after so many bytes, until the proxy is told to go on."""

    async def relay(self, exchange: Exchange) -> None:
        """Hand on that many bytes, wait, then hand on the rest."""
        await exchange.hand_on(self.after)
        exchange.proxy.stalled.set()
        await exchange.proxy.go_on.wait()
        await exchange.hand_on()


@dataclass(frozen=True, slots=True)
class Split(Fault):
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
class Raw(Fault):
    """These bytes instead of an answer; the server doesn't get the request."""

    answer: bytes

    request_bytes = 0

    async def relay(self, exchange: Exchange) -> None:
        """Answer in the server's place."""
        exchange.client.write(self.answer)


@dataclass(frozen=True, slots=True)
class Answer(Fault):
    """Something else instead of the stream: another status, a redirect, somebody's HTML."""

    status: int
    headers: tuple[str, ...] = ()
    body: str = ""

    request_bytes = 0

    async def relay(self, exchange: Exchange) -> None:
        """Answer in the server's place; `{again}` in a header is the address that was asked for."""
        again = exchange.proxy.url + exchange.proxy.requests[-1].split()[1].decode()
        body = self.body.encode()
        head = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", "Connection: close"]
        head += [header.format(again=again) for header in self.headers]
        if self.status != 204:
            head.append(f"Content-Length: {len(body)}")
        exchange.client.write("\r\n".join([*head, "", ""]).encode() + body)


BUSY = Answer(503, ("Retry-After: 0",), '{"detail": "All 2 streams are taken: try again later."}')
CUT_AFTER_EVENT = CutAt(b"\n\n", 0)
MUTE_AFTER_EVENT = MuteAfter(b"\n\n")
BAD_GATEWAY = Answer(502, ("Content-Type: text/html",), "<html><h1>502 Bad Gateway</h1></html>")
HTML = Answer(200, ("Content-Type: text/html",), "<html>Please log in to this network</html>")
NO_CONTENT = Answer(204)


@dataclass
class FaultProxy:
    """A TCP proxy on loopback: its first connection has the first fault, those after the last have none."""

    server_port: int = 0
    faults: tuple[Fault, ...] = ()
    always: Fault = field(default_factory=Cut)
    """The fault of the connections after the last one."""
    requests: list[bytes] = field(default_factory=list)
    """The first request on each connection, head and body."""
    forgetful: bool = False
    """Whether the server is not to know the Last-Event-ID."""
    of_streams: bool = False
    """Whether only requests for streams have faults and are kept; each request then has its connection."""

    async def __aenter__(self) -> Self:
        self.stalled, self.go_on = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._connections: list[asyncio.Task[None]] = []
        self._open: list[asyncio.StreamWriter] = []
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1000)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        # asyncio forgets to close a connection that it has accepted when the server is closed.
        self._loop.remove_reader(self._server.sockets[0].fileno())
        await asyncio.sleep(0)
        self._server.close()
        for each in self._connections:
            each.cancel()
        for result in await asyncio.gather(*self._connections, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    def cut(self) -> None:
        """Cut the connections that have faults, from any thread."""
        for each in self._open:
            self._loop.call_soon_threadsafe(each.transport.abort)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._server.is_serving():
            writer.transport.abort()
            return
        connection = asyncio.create_task(self._serve(reader, writer))
        connection.add_done_callback(lambda _: writer.close())  # even if it is cancelled before it starts
        self._connections.append(connection)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):  # either end may go
            request = await read_request(reader)
            fault: Fault = Cut()
            if STREAM.match(request) or not self.of_streams:
                number = len(self.requests)
                self.requests.append(request)
                self._open.append(writer)
                fault = self.faults[number] if number < len(self.faults) else self.always
            if fault.request_bytes:
                await self._ask(fault, request, reader, writer)
            else:
                await fault.relay(Exchange(self, asyncio.StreamReader(), writer))

    async def _ask(
        self, fault: Fault, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        answer, server = await asyncio.open_connection("127.0.0.1", self.server_port)
        with closing(server):
            request = LAST_EVENT_ID.sub(b"", request) if self.forgetful else request
            if self.of_streams:
                request = CONNECTION.sub(b"", request).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            server.write(request[: fault.request_bytes])
            sending = asyncio.create_task(pump(reader, server))
            try:
                await fault.relay(Exchange(self, answer, writer))
            finally:
                sending.cancel()
                await asyncio.wait([sending])


@contextmanager
def in_thread(*proxies: FaultProxy) -> Iterator[None]:
    """Open proxies in a thread of their own."""
    with start_blocking_portal() as portal, ExitStack() as stack:
        for proxy in proxies:
            stack.enter_context(portal.wrap_async_context_manager(proxy))
        yield


@contextmanager
def gateway(server: Server, *faults: Fault) -> Iterator[FaultProxy]:
    """A proxy before a server, for browsers: its streams have these faults, and the last one for good."""
    always = faults[-1] if faults else Cut()
    proxy = FaultProxy(server.port, faults, always, of_streams=True)
    with in_thread(proxy):
        yield proxy


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request, head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = CONTENT_LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


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
