"""Start a task and watch it to its end, without asyncio: requests and sseclient-py.

python sse_client.py --name "My first task" --seconds 10
python sse_client.py --task-id <id>      watch a task that somebody else has started
"""

import time
from collections.abc import Callable, Iterator

import requests
from sseclient import SSEClient

from taskstream.client import protocol
from taskstream.client.cursor import Cursor
from taskstream.client.patience import Patience
from taskstream.client.protocol import Snapshot
from taskstream.client.sync_stream import (
    NETWORK_ERRORS,
    REFUSE_REDIRECTS,
    EventSourceError,
    connect,
    open_session,
    read_body,
)
from taskstream.client.terminal import Arguments, Terminal, parse_arguments


def start_task(
    session: requests.Session, url: str, patience: Patience | None = None, /, **fields: object
) -> Snapshot:
    """Start a task, exactly once; its first snapshot."""
    patience = patience or Patience(url)
    address, timeout = f"{url}/start-task", protocol.ANSWER_SECONDS
    key = protocol.idempotency_key()  # the same each time, so that asking again starts no second task
    while True:
        try:
            with session.post(
                address, json=fields, headers=key, timeout=timeout, hooks=REFUSE_REDIRECTS, stream=True
            ) as response:
                body = read_body(response)
                return protocol.read_answer(url, response.status_code, response.headers, body)
        except (*NETWORK_ERRORS, protocol.Unavailable) as error:
            seconds = patience.not_started(error)
        time.sleep(seconds)


def watch_task(
    session: requests.Session,
    url: str,
    task_id: str,
    patience: Patience | None = None,
    on_output: Callable[[str], object] | None = None,
) -> Iterator[Snapshot]:
    """The snapshots of a task, each of them once, up to its last one; `on_output` gets its output."""
    patience = patience or Patience(url)
    cursor = Cursor(url, patience, on_output)
    while True:
        try:
            with connect(
                session,
                protocol.stream_url(url, task_id),
                last_event_id=cursor.last_event_id,  # SSEClient doesn't keep it
                open_timeout=patience.left,
                read_timeout=patience.silence_seconds,
                max_event_bytes=protocol.EVENT_BYTES,
            ) as whole_events:
                patience.connected()
                for event in SSEClient(whole_events).events():
                    patience.set_retry(event.retry)
                    if snapshot := cursor.advance(event.event, event.id, event.data):
                        yield snapshot
                    if cursor.finished:
                        return
            why = "the stream ended"
        except EventSourceError as error:
            why = patience.refused(error.status, error.body)
        except NETWORK_ERRORS as error:
            why = cursor.reason(error)
        time.sleep(patience.lost(why, patience.retry_seconds))


def main(arguments: Arguments, terminal: Terminal) -> None:
    """Start a task, unless there is one to watch, and show it."""
    url, task_id = arguments.url, arguments.task_id
    with open_session() as session:
        if task_id is None:
            task_id = terminal.started(start_task(session, url, terminal.patience(), **arguments.fields))
        patience, on_output = terminal.patience(task_id), terminal.output(task_id)
        for snapshot in watch_task(session, url, task_id, patience, on_output):
            terminal.show(snapshot)


if __name__ == "__main__":
    arguments = parse_arguments(__doc__)
    with Terminal(arguments) as terminal:
        main(arguments, terminal)
