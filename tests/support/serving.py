"""Streams of one log, which has an event, on a real socket, in the event loop of the test."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn
from fastapi import FastAPI, Response

from taskstream.events import Kind
from taskstream.http.response import StreamResponse
from taskstream.http.servers import on_server_stop
from taskstream.http.streams import Streams
from taskstream.log import Log
from taskstream.server.connection import Connection
from taskstream.server.serve import Server
from taskstream.viewers import Follower, Overview

SOCKET_BYTES = 64 * 1024
"""Small, so that a socket is full after a second or two of a burst."""

END = b"0\r\n\r\n"
EVENT = b"\n\n\r\n"
"""How a stream ends, and a piece of it with events."""

Protocol = type[asyncio.Protocol] | str


@asynccontextmanager
async def running(
    *servers: uvicorn.Server, sockets: list[socket.socket] | None = None
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Servers that have been started together, in the event loop of the test."""
    running = [asyncio.create_task(server._serve(sockets)) for server in servers]
    try:
        async with asyncio.timeout(10):
            while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn has nothing to wait for
                await asyncio.sleep(0.01)
        yield running
    finally:
        for server in servers:
            server.should_exit = True
        async with asyncio.timeout(10):
            await asyncio.gather(*running)


@dataclass
class Serving:
    """An application whose streams are those of one log, and the server that it has."""

    limit: int = 1000
    ping_seconds: float = 15
    stall_seconds: float = 60
    sees_stop: bool = True
    log: Log = field(default_factory=lambda: Log(10_000, history_bytes=1 << 30))

    def __post_init__(self) -> None:
        self._clients: list[Client] = []
        self.streams = Streams(self.limit, self.ping_seconds, self.stall_seconds)
        self.app = FastAPI(lifespan=self._lifespan)
        self.append(1)

        @self.app.get("/stream")
        async def stream(after: int = 0) -> Response:
            return StreamResponse(Follower(self.log, after), self.streams, 0)

        @self.app.get("/overview")
        async def overview() -> Response:
            return StreamResponse(Overview([self.log]), self.streams, 0)

        @self.app.get("/hello")
        async def hello() -> str:
            return "hello"

    @asynccontextmanager
    async def serve(self, http: Protocol = Connection, **options: Any) -> AsyncIterator[Self]:
        """Serve the application until the end, on a free port."""
        self.server = Server(uvicorn.Config(self.app, http=http, ws="none", log_config=None, **options))
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        self.port: int = listener.getsockname()[1]
        async with running(self.server, sockets=[listener]):
            try:
                yield self
            finally:
                for client in self._clients:
                    client.leave()

    async def open(self, *requests: str, **options: Any) -> "Client":
        """A client that has sent requests."""
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
        peer.setblocking(False)
        await asyncio.get_running_loop().sock_connect(peer, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=peer, **options)
        client = Client(reader, writer)
        self._clients.append(client)
        client.send(*requests)
        return client

    async def watch(self, *behind: str, **options: Any) -> "Client":
        """A client that has got an event of a stream, behind which it has asked for other paths."""
        client = await self.open("/stream", *behind, **options)
        await client.until(EVENT)
        return client

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when this holds; fail after ten seconds."""
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def until_open(self, count: int) -> None:
        """Return when so many streams are open."""
        await self.until(lambda: self.streams.open == count)

    async def until_behind(self, count: int) -> None:
        """Return when so many streams wait for their sockets."""
        await self.until(lambda: self.streams.behind == count)

    def append(self, count: int, size: int = 1, *, last: bool = False) -> None:
        """Add so many events to the log."""
        for number in range(1, count + 1):
            self.log.append(b"x" * size, Kind.LAST if last and number == count else Kind.SNAPSHOT)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[dict[str, bool]]:
        def close_log(stopping: bool) -> None:
            if stopping and self.sees_stop:
                self.log.close()

        watch = asyncio.create_task(self.streams.watch())
        with on_server_stop(close_log) as stop:
            yield stop.state()
        watch.cancel()


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    received: bytearray = field(default_factory=bytearray)

    def send(self, *requests: str) -> None:
        """Ask for these paths, one after the other, without waiting for answers."""
        for path in requests:
            self.writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n".encode())

    async def until(self, end: bytes) -> bytearray:
        """All that has come, once it ends like that."""
        return await self._read_until(lambda: self.received.endswith(end), f"end with {end!r}")

    async def until_count(self, part: bytes, count: int) -> bytearray:
        """All that has come, once this has come so many times."""
        return await self._read_until(
            lambda: self.received.count(part) >= count, f"have enough of {part!r}"
        )

    async def _read_until(self, condition: Callable[[], bool], expected: str) -> bytearray:
        async with asyncio.timeout(20):
            while not condition():
                data = await self.reader.read(65536)
                assert data, f"{self.received[-200:]!r} does not {expected}"
                self.received += data
        return self.received

    async def rest(self) -> bytearray:
        """All that comes, up to the end of the connection."""
        async with asyncio.timeout(20):
            while data := await self.reader.read(65536):
                self.received += data
        return self.received

    def stop_reading(self) -> None:
        """Read nothing, so that the server's socket fills up."""
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]

    def read_on(self) -> None:
        """Read again."""
        self.writer.transport.resume_reading()  # type: ignore[attr-defined]

    def leave(self) -> None:
        """End the connection."""
        self.writer.transport.abort()

    @property
    def ids(self) -> list[int]:
        """The ids of all events that have arrived."""
        return [int(each) for each in re.findall(rb"^id: (\d+)$", self.received, re.MULTILINE)]
