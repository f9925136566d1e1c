"""Start a task and watch it to its end, without asyncio: requests and sseclient-py.

python sse_client.py --name "My first task" --seconds 10
python sse_client.py --task-id <id>      watch a task that somebody else has started
"""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from urllib.parse import quote

import requests
from sseclient import SSEClient

from taskstream.client import EventSourceError, protocol
from taskstream.client.cursor import Cursor
from taskstream.client.protocol import SnapshotDict
from taskstream.client.retrying import Retrying
from taskstream.client.sync_stream import NETWORK_ERRORS, connect, open_session, read_beginning, send
from taskstream.terminal import Arguments, Terminal, parse_arguments


def start_task(
    session: requests.Session, url: str, retrying: Retrying | None = None, /, **fields: object
) -> SnapshotDict:
    """Start a task, exactly once; its first snapshot."""
    url = protocol.server_url(url)
    retrying = retrying or Retrying(url)
    address, timeout = f"{url}/start-task", (protocol.ANSWER_SECONDS, protocol.ANSWER_SECONDS)
    request = protocol.start_request(fields)  # the same each time: asking again starts no second task
    while True:
        try:
            with send(
                session, "POST", address, timeout=timeout, allow_redirects=False, **request
            ) as response:
                body = read_beginning(response, protocol.ANSWER_SECONDS)
                return protocol.read_answer(url, response.status_code, response.headers, body)
        except (EventSourceError, *NETWORK_ERRORS) as error:
            seconds = retrying.start_failed(error)
        time.sleep(seconds)


def watch_task(
    session: requests.Session,
    url: str,
    task_id: str,
    retrying: Retrying | None = None,
    on_output: Callable[[str], object] | None = None,
) -> Generator[SnapshotDict, None, None]:
    """The snapshots of a task, each of them once, up to its last one; `on_output` gets its output."""
    url = protocol.server_url(url)
    retrying = retrying or Retrying(url)
    cursor = Cursor(retrying, on_output)
    address = f"{url}/task-progress/{quote(task_id, safe='')}"
    with closing(watch_stream(session, address, retrying)) as events:
        for event in events:
            if snapshot := cursor.advance(*event):
                yield snapshot
            if cursor.finished:
                return


def watch_stream(
    session: requests.Session, address: str, retrying: Retrying
) -> Generator[tuple[str, str, str], None, None]:
    """Type, last id and data of each event, over as many connections as it takes, without an end."""
    last_event_id = ""
    while True:
        error: Exception | None = None
        try:
            with connect(
                session,
                address + retrying.next_query(),
                last_event_id=last_event_id,
                open_timeout=retrying.seconds_left,
                read_timeout=retrying.read_seconds,
                on_bytes=retrying.heard,
                max_event_bytes=protocol.EVENT_BYTES,
            ) as whole_events:
                retrying.connected()
                for event in SSEClient(whole_events).events():
                    retrying.set_retry(event.retry)
                    last_event_id = event.id or last_event_id  # SSEClient doesn't keep it
                    yield event.event, last_event_id, event.data
        except (EventSourceError, *NETWORK_ERRORS) as problem:
            error = problem
        time.sleep(retrying.disconnected(error, retrying.retry_seconds))


def main(arguments: Arguments, terminal: Terminal) -> None:
    """Start a task, unless there is one to watch, and show it."""
    url, task_id = arguments.url, next(iter(arguments.task_ids), None)
    with open_session(url, arguments.headers) as session:
        if task_id is None:
            task_id = terminal.started(start_task(session, url, terminal.retrying(), **arguments.fields))
        retrying, on_output = terminal.retrying(task_id), terminal.on_output(task_id)
        with closing(watch_task(session, url, task_id, retrying, on_output)) as snapshots:
            for snapshot in snapshots:
                terminal.show(snapshot)


if __name__ == "__main__":
    arguments = parse_arguments(__doc__)
    with Terminal(arguments) as terminal:
        main(arguments, terminal)
