"""A TCP proxy that damages what it carries, on the line of one program to Redis."""

import asyncio
import math
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Self

PIECE_BYTES = 64 * 1024


@dataclass
class Damage:
    """What is done to a line; nothing, at first."""

    refuses: bool = False
    """New connections are closed at once."""
    swallows: bool = False
    """Bytes are taken and go nowhere, both ways; on the connections that meet this, for ever."""
    delay_seconds: float = 0
    """Each piece is this late, on its way to Redis and back."""
    bytes_per_second: float = 0
    splits: bool = False
    """Bytes arrive in small pieces."""
    reply_losses: float = 0
    """The chance that a reply is taken, and the connection cut: Redis has done what it was asked for."""


class Proxy:
    """Listens on a port of its own, and connects each who comes there to Redis."""

    def __init__(self, redis_port: int, draw: Random) -> None:
        self.damage = Damage()
        self.port = 0
        self._redis_port = redis_port
        self._draw = draw
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._lost: set[asyncio.Event] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        self.reset()
        for each in self._connections:
            each.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def reset(self) -> None:
        """End all connections without a word: both sides are told that they were reset."""
        for writer in list(self._writers):
            abort(writer)

    def cut(self) -> None:
        """End all connections in good order."""
        for writer in list(self._writers):
            writer.close()

    def mute(self) -> None:
        """Have the connections that there are swallow all, as if they were half-open; new ones work."""
        for lost in self._lost:
            lost.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        self._writers.add(writer)
        try:
            if not self.damage.refuses:
                await self._connect(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # nobody waits for this task: the connection is over
        finally:
            self._connections.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        redis_reader, redis_writer = await asyncio.open_connection("127.0.0.1", self._redis_port)
        self._writers.add(redis_writer)
        lost = asyncio.Event()
        self._lost.add(lost)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, redis_writer, lost, replies=False))
                group.create_task(self._carry(redis_reader, writer, lost, replies=True))
        except* OSError:
            pass
        finally:
            self._lost.discard(lost)
            self._writers.discard(redis_writer)
            redis_writer.close()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        lost: asyncio.Event,
        *,
        replies: bool,
    ) -> None:
        """Carry bytes one way until either side ends; while the connection is not `lost`."""
        while piece := await reader.read(PIECE_BYTES):
            if self.damage.delay_seconds or self.damage.bytes_per_second:
                sending_seconds = len(piece) / (self.damage.bytes_per_second or math.inf)
                await asyncio.sleep(self.damage.delay_seconds + sending_seconds)
            if self.damage.swallows:
                lost.set()
            if lost.is_set():
                continue
            if replies and self._draw.random() < self.damage.reply_losses:
                break
            await self._write(writer, piece)
        raise ConnectionResetError  # which ends the other way as well

    async def _write(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        while self.damage.splits and len(piece) > 1:
            length = self._draw.randint(1, min(len(piece), 200))
            writer.write(piece[:length])
            await writer.drain()
            await asyncio.sleep(0.0005)
            piece = piece[length:]
        writer.write(piece)
        await writer.drain()


def abort(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the other side is told that it was reset."""
    connection: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
