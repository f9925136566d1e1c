"""Start a task and watch it to its end, over as many connections as it takes.

python client.py --name "My first task" --seconds 10
python client.py --task-id <id>      watch a task that somebody else has started
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import aiohttp

from taskstream.client import protocol
from taskstream.client.cursor import Cursor
from taskstream.client.event_source import NETWORK_ERRORS, EventSource, EventSourceError, read_body
from taskstream.client.patience import Patience
from taskstream.client.protocol import Snapshot
from taskstream.client.terminal import Arguments, Terminal, parse_arguments


async def start_task(
    session: aiohttp.ClientSession, url: str, patience: Patience | None = None, /, **fields: object
) -> Snapshot:
    """Start a task, exactly once; its first snapshot."""
    patience = patience or Patience(url)
    address, timeout = f"{url}/start-task", aiohttp.ClientTimeout(protocol.ANSWER_SECONDS)
    key = protocol.idempotency_key()  # the same each time, so that asking again starts no second task
    while True:
        try:
            async with session.post(
                address, json=fields, headers=key, timeout=timeout, allow_redirects=False
            ) as response:
                body = await read_body(response)
                return protocol.read_answer(url, response.status, response.headers, body)
        except (*NETWORK_ERRORS, protocol.Unavailable) as error:
            seconds = patience.not_started(error)
        await asyncio.sleep(seconds)


async def watch_task(
    session: aiohttp.ClientSession,
    url: str,
    task_id: str,
    patience: Patience | None = None,
    on_output: Callable[[str], object] | None = None,
) -> AsyncGenerator[Snapshot, None]:
    """The snapshots of a task, each of them once, up to its last one; `on_output` gets its output."""
    patience = patience or Patience(url)
    cursor = Cursor(url, patience, on_output)
    source = EventSource(
        session,
        protocol.stream_url(url, task_id),
        reconnection_seconds=patience.retry_seconds,
        read_timeout=patience.silence_seconds,
        max_event_bytes=protocol.EVENT_BYTES,
    )
    while True:
        try:
            async with source.connect(patience.left) as events:  # with the Last-Event-ID it has seen
                patience.connected()
                async for event in events:
                    if snapshot := cursor.advance(event.type, event.last_event_id, event.data):
                        yield snapshot
                    if cursor.finished:
                        return
            why = "the stream ended"
        except EventSourceError as error:
            why = patience.refused(error.status, error.body)
        except NETWORK_ERRORS as error:
            why = cursor.reason(error)
        await asyncio.sleep(patience.lost(why, source.reconnection_seconds))


async def main(arguments: Arguments, terminal: Terminal) -> None:
    """Start a task, unless there is one to watch, and show it."""
    url, task_id = arguments.url, arguments.task_id
    async with aiohttp.ClientSession() as session:
        if task_id is None:
            first = await start_task(session, url, terminal.patience(), **arguments.fields)
            task_id = terminal.started(first)
        patience, on_output = terminal.patience(task_id), terminal.output(task_id)
        async with aclosing(watch_task(session, url, task_id, patience, on_output)) as snapshots:
            async for snapshot in snapshots:
                terminal.show(snapshot)


if __name__ == "__main__":
    arguments = parse_arguments(__doc__)
    with Terminal(arguments) as terminal:
        asyncio.run(main(arguments, terminal))
