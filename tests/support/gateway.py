"""A reverse proxy that does to streams what proxies and networks do; all else passes as it is."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import Enum
from typing import Self

import aiohttp
from aiohttp import web
from anyio.from_thread import start_blocking_portal

STREAM = re.compile(r"/task-progress[/?]|/stream$")


class Fate(Enum):
    """What happens to a stream."""

    PASS = "it passes"
    CUT = "its connection is cut after the first bytes"
    MUTE = "its first bytes pass, no other does, and nobody closes it"
    HOLD = "its head and its bytes are kept until its end, as by a proxy that buffers"
    BAD_GATEWAY = "the answer is a 502, in HTML"


class Gateway:
    """The proxy. The first stream has the first fate; those after the last have the last one's."""

    def __init__(self, server_url: str) -> None:
        self.url = ""
        self.fates = [Fate.PASS]
        self.streams: list[web.Request] = []
        self._server_url = server_url

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Self]:
        """Serve on a free port."""
        self._loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)  # type: ignore[arg-type]
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield self
            finally:
                await runner.cleanup()

    def cut(self) -> None:
        """Cut the connections of the streams that are open."""
        for transport in [request.transport for request in self.streams]:
            if transport:
                self._loop.call_soon_threadsafe(transport.abort)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        fate = Fate.PASS
        if STREAM.search(request.raw_path):
            self.streams.append(request)
            fate = self.fates.pop(0) if len(self.fates) > 1 else self.fates[0]
        if fate is Fate.BAD_GATEWAY:
            return web.Response(status=502, text="<h1>Bad gateway</h1>", content_type="text/html")
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        url = self._server_url + request.raw_path
        async with self._session.request(
            request.method, url, headers=headers, data=await request.read(), allow_redirects=False
        ) as answer:
            return await self._relay(request, answer, fate)

    async def _relay(
        self, request: web.Request, answer: aiohttp.ClientResponse, fate: Fate
    ) -> web.StreamResponse:
        kept = {"transfer-encoding", "content-length", "connection", "date", "server"}
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in kept}
        response = web.StreamResponse(status=answer.status, headers=headers)
        if fate is Fate.HOLD:
            body = await answer.read()
            await response.prepare(request)
            await response.write(body)
            return response
        await response.prepare(request)
        with suppress(ConnectionError):
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
                if fate is Fate.CUT and request.transport:
                    request.transport.abort()
                if fate is Fate.MUTE:
                    await asyncio.Event().wait()
        return response


@contextmanager
def gateway(server_url: str) -> Iterator[Gateway]:
    """A proxy in a thread of its own."""
    proxy = Gateway(server_url)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(proxy.serve()):
        yield proxy
