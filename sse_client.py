"""Start a task and watch it to its end, without asyncio: requests and sseclient-py.

python sse_client.py --name "My first task" --seconds 10
python sse_client.py --task-id <id>      watch a task that somebody else has started
"""

import logging
import time
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import requests
from sseclient import SSEClient

from taskstream.client import protocol
from taskstream.client.protocol import Patience, Snapshot
from taskstream.client.terminal import Arguments, Terminal, parse_arguments


def start_task(session: requests.Session, url: str, **fields: object) -> Snapshot:
    """Start a task; its first snapshot. Not tried twice: that might start two."""
    timeout = protocol.ANSWER_SECONDS
    try:
        with session.post(
            f"{url}/start-task", json=fields, timeout=timeout, allow_redirects=False, stream=True
        ) as response:
            return protocol.read_answer(url, response.status_code, read_body(response))
    except requests.RequestException as error:
        raise protocol.unreachable(url, error) from error


def watch_task(
    session: requests.Session, url: str, task_id: str, patience: Patience | None = None
) -> Iterator[Snapshot]:
    """The snapshots of a task, each of them once, up to its last one."""
    patience = patience or Patience(url)
    stream = f"{url}/task-progress/{quote(task_id, safe='')}"
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    retry_seconds = patience.retry_seconds
    shown = 0
    while True:
        try:
            timeout = (patience.left, patience.silence_seconds)
            with session.get(stream, headers=headers, timeout=timeout, stream=True) as response:
                if response.status_code != 200:
                    why = patience.refused(response.status_code, read_body(response))
                elif not response.headers.get("Content-Type", "").lower().startswith("text/event-stream"):
                    if any(response.iter_content(1)):
                        raise protocol.not_our_server(url)
                    why = "the answer was cut off"  # in its head, which http.client takes for a whole one
                else:
                    patience.connected()
                    for event in SSEClient(whole_events(response.iter_content(chunk_size=1))).events():
                        if event.retry and event.retry.isdecimal():
                            retry_seconds = float(event.retry) / 1000
                        if (number := protocol.event_number(url, event.id or "")) > shown:
                            shown = number
                            headers["Last-Event-ID"] = str(number)  # SSEClient doesn't keep it
                            snapshot = protocol.read_snapshot(url, event.data)
                            yield snapshot
                            if snapshot["status"] in protocol.ENDED:
                                return
                    why = "the stream ended"
        except requests.RequestException as error:
            why = protocol.reason(error)
        time.sleep(patience.lost(why, retry_seconds))


def whole_events(stream: Iterable[bytes]) -> Iterator[bytes]:
    """The events of a stream that comes a byte at a time.

    SSEClient would hand over half an event when the connection is cut, stop at bytes that aren't UTF-8, and
    take in an endless line until the memory is full.
    """
    event = bytearray()
    for byte in stream:
        event += byte
        if len(event) > protocol.EVENT_BYTES:
            raise protocol.Refused(f"An event is larger than {protocol.EVENT_BYTES} bytes, or never ends.")
        if event.endswith((b"\n\n", b"\r\r", b"\r\n\r\n")):
            yield event.decode(errors="replace").encode()
            event.clear()


def read_body(response: requests.Response) -> bytes:
    """The body of an answer that is no stream, or its beginning."""
    body = bytearray()
    for chunk in response.iter_content(1024):
        body += chunk
        if len(body) >= protocol.BODY_BYTES:
            break
    return bytes(body)


def main(arguments: Arguments, terminal: Terminal) -> None:
    """Start a task, unless there is one to watch, and show it."""
    with requests.Session() as session:
        session.trust_env = False  # as aiohttp does: a proxy would be asked for localhost
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # no traceback for a connection that is cut
        task_id = arguments.task_id
        if task_id is None:
            task_id = terminal.started(start_task(session, arguments.url, **arguments.fields))
        for snapshot in watch_task(session, arguments.url, task_id, terminal.patience(task_id)):
            terminal.show(snapshot)


if __name__ == "__main__":
    arguments = parse_arguments(__doc__)
    with Terminal(arguments) as terminal:
        main(arguments, terminal)
