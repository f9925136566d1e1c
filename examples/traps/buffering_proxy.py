"""All events arrive at once, at the end: the proxy.

    python examples/traps/buffering_proxy.py

Question: Why do all events arrive at once, but only in production?
Symptom:  on the developer's machine the bar moves; in production it stays at 0 %, and then shows 100 %.
Cause:    a reverse proxy collects the response until a buffer is full, which takes small events minutes.
          nginx does so when it speaks HTTP/1.0 to the application, its default before 1.29.7, and gets no
          chunks: from plain uvicorn it gets none, from `uvicorn[standard]` it does. So it may work for
          you by luck.
Cure:     the header `X-Accel-Buffering: no`, which tells nginx to pass on each piece as it arrives.
          sse-starlette sends it; with a StreamingResponse you have to. (Or `proxy_buffering off;` in
          nginx.conf: but then whoever installs the application has to know it.) For a proxy that heeds
          neither there is a second cure, a stream that closes on purpose: closing_stream.py.
"""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

BUFFER_BYTES = 4096

app = FastAPI()


async def events() -> AsyncIterator[str]:
    """Five events, 0.2 s apart."""
    for number in range(1, 6):
        yield f"data: event {number}\n\n"
        await asyncio.sleep(0.2)


@app.get("/broken")
async def broken() -> StreamingResponse:
    """A stream like any other response."""
    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/fixed")
async def fixed() -> StreamingResponse:
    """A stream that asks not to be buffered."""
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


async def start_proxy(origin_port: int) -> asyncio.Server:
    """A minimal reverse proxy, which fills a buffer before it sends."""

    async def forward(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        request = await client.readuntil(b"\r\n\r\n")
        origin, to_origin = await asyncio.open_connection("127.0.0.1", origin_port)
        to_origin.write(request[:-2] + b"Connection: close\r\n\r\n")
        head = await origin.readuntil(b"\r\n\r\n")
        to_client.write(head)
        unbuffered = b"x-accel-buffering: no" in head.lower()
        buffer = b""
        while piece := await origin.read(BUFFER_BYTES):
            buffer += piece
            if unbuffered or len(buffer) >= BUFFER_BYTES:
                to_client.write(buffer)
                await to_client.drain()
                buffer = b""
        to_client.write(buffer)
        to_origin.close()
        to_client.close()

    return await asyncio.start_server(forward, "127.0.0.1", 0)


if __name__ == "__main__":
    from show import show

    show(__file__)
