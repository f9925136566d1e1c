"""Start a task and watch it to its end, over as many connections as it takes.

python client.py --name "My first task" --seconds 10
python client.py --task-id <id>      watch a task that somebody else has started
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote

import aiohttp

from taskstream.client import protocol
from taskstream.client.event_source import NETWORK_ERRORS, EventSource, EventSourceError, read_body
from taskstream.client.protocol import Patience, Snapshot
from taskstream.client.terminal import Arguments, Terminal, parse_arguments


async def start_task(session: aiohttp.ClientSession, url: str, **fields: object) -> Snapshot:
    """Start a task; its first snapshot. Not tried twice: that might start two."""
    timeout = aiohttp.ClientTimeout(protocol.ANSWER_SECONDS)
    try:
        async with session.post(
            f"{url}/start-task", json=fields, timeout=timeout, allow_redirects=False
        ) as response:
            return protocol.read_answer(url, response.status, await read_body(response))
    except NETWORK_ERRORS as error:
        raise protocol.unreachable(url, error) from error


async def watch_task(
    session: aiohttp.ClientSession, url: str, task_id: str, patience: Patience | None = None
) -> AsyncGenerator[Snapshot, None]:
    """The snapshots of a task, each of them once, up to its last one."""
    patience = patience or Patience(url)
    stream = f"{url}/task-progress/{quote(task_id, safe='')}"
    source = EventSource(
        session,
        stream,
        reconnection_seconds=patience.retry_seconds,
        read_timeout=patience.silence_seconds,
        max_event_bytes=protocol.EVENT_BYTES,
    )
    shown = 0
    while True:
        try:
            async with source.connect(patience.left) as events:  # with the Last-Event-ID it has seen
                patience.connected()
                async for event in events:
                    if (number := protocol.event_number(url, event.last_event_id)) > shown:
                        shown = number
                        snapshot = protocol.read_snapshot(url, event.data)
                        yield snapshot
                        if snapshot["status"] in protocol.ENDED:
                            return
            why = "the stream ended"
        except EventSourceError as error:
            why = patience.refused(error.status, error.body)
        except NETWORK_ERRORS as error:
            why = protocol.reason(error)
        await asyncio.sleep(patience.lost(why, source.reconnection_seconds))


async def main(arguments: Arguments, terminal: Terminal) -> None:
    """Start a task, unless there is one to watch, and show it."""
    async with aiohttp.ClientSession() as session:
        task_id = arguments.task_id
        if task_id is None:
            task_id = terminal.started(await start_task(session, arguments.url, **arguments.fields))
        patience = terminal.patience(task_id)
        async with aclosing(watch_task(session, arguments.url, task_id, patience)) as snapshots:
            async for snapshot in snapshots:
                terminal.show(snapshot)


if __name__ == "__main__":
    arguments = parse_arguments(__doc__)
    with Terminal(arguments) as terminal:
        asyncio.run(main(arguments, terminal))
