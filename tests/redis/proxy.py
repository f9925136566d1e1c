"""A TCP proxy on the line to Redis, for whatever may happen to a line."""

import asyncio
import threading
from contextlib import suppress
from typing import Self


class Line:
    """One connection through the proxy."""

    def __init__(self, proxy: "RedisProxy", client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = client
        self.muted = False

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Pass on what either side says, until one of them goes."""
        try:
            redis_reader, redis = await asyncio.open_connection("127.0.0.1", self._proxy.redis_port)
        except OSError:
            self.cut()
            return
        pumps = (self._pump(reader, redis), self._pump(redis_reader, self._client))
        await asyncio.gather(*pumps, return_exceptions=True)

    def cut(self) -> None:
        """End it at once, as if reset."""
        self._client.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    if self.muted:
                        continue
                    if self._proxy.delay_seconds:
                        await asyncio.sleep(self._proxy.delay_seconds)
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.transport.abort()
            self.cut()


class RedisProxy:
    """A proxy in a thread of its own, as the tests block theirs while they wait for programs."""

    def __init__(self, redis_port: int) -> None:
        self.redis_port = redis_port
        self.delay_seconds = 0.0
        """How long everything takes, in each direction."""
        self.refuses = False
        """Whether new connections are ended at once."""
        self._lines: list[Line] = []
        self._serving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        listen = asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(listen, self._loop).result(10)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}/0"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """End all connections."""
        for line in self._lines:
            self._loop.call_soon_threadsafe(line.cut)

    def mute(self) -> None:
        """Pass nothing on over the connections that there are, as if they were half-open; new ones work."""
        for line in self._lines:
            line.muted = True

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        line = Line(self, writer)
        self._lines.append(line)
        serving = self._loop.create_task(line.serve(reader))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _close(self) -> None:
        self._server.close()
        for each in list(self._serving):
            each.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        for line in self._lines:
            line.cut()
        await asyncio.sleep(0)
