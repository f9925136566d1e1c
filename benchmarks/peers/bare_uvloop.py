"""The floor in Python: no HTTP server at all, one `transport.write` for each viewer and event."""

import asyncio
import json
import secrets
import sys
from collections import defaultdict
from typing import cast

import uvloop

from benchmarks.emission import Emission, snapshot
from benchmarks.peers.tasks import to_sse

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
viewers: dict[str, set[asyncio.Transport]] = defaultdict(set)
runs: set[asyncio.Task[None]] = set()


async def run(task_id: str, emission: Emission) -> None:
    """One task from its start to its end."""
    async for number in emission.numbers():
        event = to_sse(number, snapshot(task_id, emission, number))
        for transport in viewers[task_id]:
            transport.write(event)
    for transport in viewers.pop(task_id, ()):
        transport.close()


class Connection(asyncio.Protocol):
    """Just enough HTTP to tell a viewer from one who starts a task."""

    task_id = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer one request, which is taken to arrive in one piece."""
        if data.startswith(b"GET"):
            self.task_id = data.split(b" ")[1].decode().rpartition("/")[2]
            viewers[self.task_id].add(self.transport)
            self.transport.write(HEAD)
            return
        body = json.loads(data.partition(b"\r\n\r\n")[2])
        task_id = secrets.token_hex(16)
        runs.add(asyncio.create_task(run(task_id, Emission(body["rate"], body["events"], body["delay"]))))
        answer = json.dumps({"task_id": task_id}).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the viewer."""
        viewers[self.task_id].discard(self.transport)


async def main() -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(
        Connection, "127.0.0.1", int(sys.argv[1]), backlog=2048
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
