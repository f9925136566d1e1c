"""All events arrive at once, at the end: the middleware that compresses.

    python examples/traps/compressing_middleware.py

Question: Why does curl show each event in time, but the browser all of them at the end?
Symptom:  as with a proxy that buffers, but even on the developer's machine; with curl everything is fine,
          because it doesn't ask for compression.
Cause:    a compressor keeps its input until it has enough for a block: some 32 KiB, or the end.
Cure:     leave `text/event-stream` alone, or flush after each event. Starlette's GZipMiddleware did
          neither for years; it leaves event streams alone since 0.46, and flushes every piece of other
          streams since 1.5. Middleware of your own, and proxies (`gzip_types`), still have to be checked.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from sse_starlette import EventSourceResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class CompressingMiddleware:
    """gzip for all clients that accept it, as it is written at the first try."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if "gzip" not in Headers(scope=scope).get("Accept-Encoding", ""):
            await self.app(scope, receive, send)
            return
        compressor = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)

        async def send_compressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Encoding"] = "gzip"
                del headers["Content-Length"]
            elif message["type"] == "http.response.body":
                body = compressor.compress(message.get("body", b""))
                if not message.get("more_body"):
                    body += compressor.flush()
                message = {**message, "body": body}
            await send(message)

        await self.app(scope, receive, send_compressed)


app = FastAPI()
stream = FastAPI()


@stream.get("/")
async def events() -> EventSourceResponse:
    """Five events, 0.2 s apart."""

    async def numbers() -> AsyncIterator[str]:
        for number in range(1, 6):
            yield f"event {number}"
            await asyncio.sleep(0.2)

    return EventSourceResponse(numbers())


app.mount("/broken", CompressingMiddleware(stream))
app.mount("/fixed", GZipMiddleware(stream))

if __name__ == "__main__":
    from show import show

    show(__file__)
