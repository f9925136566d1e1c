"""Start a task and watch it to its end, over as many connections as it takes.

python client.py --name "My first task" --seconds 10
python client.py --task-id <id>      watch a task that somebody else has started
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from urllib.parse import quote

import aiohttp

from taskstream.client import Event, EventSource, EventSourceError, protocol
from taskstream.client.cursor import Cursor
from taskstream.client.event_source import NETWORK_ERRORS, open_session, read_beginning
from taskstream.client.protocol import SnapshotDict
from taskstream.client.retrying import Retrying
from taskstream.terminal import Arguments, Terminal, parse_arguments


async def start_task(
    session: aiohttp.ClientSession, url: str, retrying: Retrying | None = None, /, **fields: object
) -> SnapshotDict:
    """Start a task, exactly once; its first snapshot."""
    url = protocol.server_url(url)
    retrying = retrying or Retrying(url)
    address, timeout = f"{url}/start-task", aiohttp.ClientTimeout(protocol.ANSWER_SECONDS)
    request = protocol.start_request(fields)  # the same each time: asking again starts no second task
    while True:
        try:
            async with session.post(
                address, timeout=timeout, allow_redirects=False, raise_for_status=False, **request
            ) as response:
                body = await read_beginning(response)
                return protocol.read_answer(url, response.status, response.headers, body)
        except (EventSourceError, *NETWORK_ERRORS) as error:
            seconds = retrying.start_failed(error)
        await asyncio.sleep(seconds)


async def watch_task(
    session: aiohttp.ClientSession,
    url: str,
    task_id: str,
    retrying: Retrying | None = None,
    on_output: Callable[[str], object] | None = None,
) -> AsyncGenerator[SnapshotDict, None]:
    """The snapshots of a task, each of them once, up to its last one; `on_output` gets its output."""
    url = protocol.server_url(url)
    retrying = retrying or Retrying(url)
    cursor = Cursor(retrying, on_output)
    address = f"{url}/task-progress/{quote(task_id, safe='')}"
    async with aclosing(watch_stream(session, address, retrying)) as events:
        async for event in events:
            if snapshot := cursor.advance(event.type, event.last_event_id, event.data):
                yield snapshot
            if cursor.finished:
                return


async def watch_stream(
    session: aiohttp.ClientSession, address: str, retrying: Retrying
) -> AsyncGenerator[Event, None]:
    """The events of a stream, over as many connections as it takes; it doesn't end by itself."""
    source = EventSource(
        session,
        address,
        reconnection_seconds=retrying.retry_seconds,
        max_event_bytes=protocol.EVENT_BYTES,
        on_comment=retrying.heard,
    )
    while True:
        error: Exception | None = None
        source.url, source.read_timeout = address + retrying.next_query(), retrying.read_seconds
        try:
            # Each connection sends the Last-Event-ID of the one before.
            async with source.connect(retrying.seconds_left) as events:
                retrying.connected()
                async for event in events:
                    retrying.heard()
                    yield event
        except (EventSourceError, *NETWORK_ERRORS) as problem:
            error = problem
        await asyncio.sleep(retrying.disconnected(error, source.reconnection_seconds))


async def main(arguments: Arguments, terminal: Terminal) -> None:
    """Start a task, unless there is one to watch, and show it."""
    url, task_id = arguments.url, next(iter(arguments.task_ids), None)
    async with open_session(url, arguments.headers) as session:
        if task_id is None:
            first = await start_task(session, url, terminal.retrying(), **arguments.fields)
            task_id = terminal.started(first)
        retrying, on_output = terminal.retrying(task_id), terminal.on_output(task_id)
        async with aclosing(watch_task(session, url, task_id, retrying, on_output)) as snapshots:
            async for snapshot in snapshots:
                terminal.show(snapshot)


if __name__ == "__main__":
    arguments = parse_arguments(__doc__)
    with Terminal(arguments) as terminal:
        asyncio.run(main(arguments, terminal))
