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
    _request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is complete: a GET has no body, and that of a POST is a JSON object."""
        self._request += data
        if self._request.startswith(b"GET") and self._request.endswith(b"\r\n\r\n"):
            self.task_id = self._request.split(b" ")[1].decode().rpartition("/")[2]
            viewers[self.task_id].add(self.transport)
            self.transport.write(HEAD)
            self._request = b""
        elif self._request.startswith(b"POST") and self._request.endswith(b"}"):
            self._start_task(json.loads(self._request.partition(b"\r\n\r\n")[2]))
            self._request = b""

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the viewer."""
        viewers[self.task_id].discard(self.transport)

    def _start_task(self, body: dict[str, float]) -> None:
        task_id = secrets.token_hex(16)
        emission = Emission(body["rate"], int(body["events"]), body["delay"])
        runs.add(asyncio.create_task(run(task_id, emission)))
        answer = json.dumps({"task_id": task_id}).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))


async def main() -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(
        Connection, "127.0.0.1", int(sys.argv[1]), backlog=2048
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
