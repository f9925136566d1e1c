"""Events handed straight to the sockets of the viewers that wait for them.

`EventSourceResponse`, `Follower` and `Overview` do what those of sse-starlette and `log.py` do, but faster.

What an event costs for each waiting viewer is mostly its waking up: an asyncio task, two generators, a
cancel scope. So the event is handed to the viewer's ASGI `send` at once, which ends in its first step
unless the socket is full, and the viewer sleeps on. If the socket is full, the viewer wakes up, finishes
that `send`, catches up from its logs, and waits again. Either way the viewer's one cursor moves on, so
nothing is lost, doubled or out of order.

Measured by `python -m benchmarks` on two cores, 1 000 viewers at 10 events a second: 12 µs of CPU for each
delivery, where the same server took 26 to 30 with every viewer waking up, nginx with nchan takes 8, and the
floor, a bare `transport.write`, 7.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Generator
from contextlib import aclosing
from typing import Any

import anyio
import sse_starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from taskstream import log
from taskstream.errors import StreamsFull

PING = b": ping\n\n"
SLICE = 100
"""Viewers that are served at a stretch, which takes about a millisecond, before others have their turn."""


class Pushes:
    """The viewers of all responses: who has news to be sent, and who needs a heartbeat."""

    def __init__(self, ping_seconds: float) -> None:
        self.viewers: set[PushedViewer] = set()
        self._ping_seconds = ping_seconds
        self._due: deque[PushedViewer] = deque()
        self._scheduled = False

    def add(self, viewer: "PushedViewer") -> None:
        """Push to this viewer, soon: not from within the task that publishes, whose scopes don't apply."""
        self._due.append(viewer)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._push)

    def _push(self) -> None:
        for _ in range(min(SLICE, len(self._due))):
            self._due.popleft().push()
        self._scheduled = bool(self._due)
        if self._due:
            asyncio.get_running_loop().call_soon(self._push)

    async def heartbeat(self) -> None:
        """Break every silence, for ever: by one timer, where one for each viewer would double the cost."""
        while True:
            await asyncio.sleep(self._ping_seconds / 4)
            silent_since = time.monotonic() - self._ping_seconds
            for number, viewer in enumerate(list(self.viewers), 1):
                viewer.ping(silent_since)
                if number % SLICE == 0:
                    await asyncio.sleep(0)


class Streams:
    """The streams that are open: how many, and who pushes to them."""

    def __init__(self, limit: int, ping_seconds: float) -> None:
        self.pushes = Pushes(ping_seconds)
        self._limit = limit

    @property
    def open(self) -> int:
        """How many there are."""
        return len(self.pushes.viewers)

    def check(self) -> None:
        """Raise `StreamsFull` if there can't be one more."""
        if self.open >= self._limit:
            raise StreamsFull(self._limit)


async def progress_generator(viewer: log.Viewer, retry_milliseconds: int) -> AsyncGenerator[bytes, None]:
    """What one viewer is sent: the events it has not seen yet, then each as it happens."""
    # Spread, so that a server that starts again isn't met by all of its viewers at once.
    retry = random.randint(retry_milliseconds, 3 * retry_milliseconds)
    with viewer:
        # Once, and inside an event: sseclient-py drops a block without data.
        yield (await viewer.read()).replace(b"\n", b"\nretry: %d\n" % retry, 1)
        while events := await viewer.read():
            yield events


class DirectSend:
    """Plain ASGI middleware: pushed events bypass the middleware further in, which sees only the first.

    That is, the wrappers of `send` by CORS and by the handling of exceptions, which look at the start of a
    response. Each would cost a coroutine for each event and viewer, 10 % of the CPU in all.
    """

    KEY = "push.send"

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Remember `send` as it is here."""
        scope[self.KEY] = send
        await self._app(scope, receive, send)


class EventSourceResponse(sse_starlette.EventSourceResponse):
    """A response whose viewer is pushed to.

    Beside its own, it needs one asyncio task, which looks out for the client's leaving. sse-starlette has
    one more for the heartbeat and one more for the end of the server: 10 KiB for each stream.
    """

    def __init__(
        self, content: AsyncGenerator[bytes, None], viewer: "PushedViewer", pushes: Pushes
    ) -> None:
        super().__init__(content)
        self._content = content
        self._viewer = viewer
        self._pushes = pushes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, until the content ends or the client has gone."""
        self._viewer.attach(send, self._pushes)
        with anyio.CancelScope() as streaming:
            watching = asyncio.create_task(cancel_on_disconnect(receive, streaming))
            try:
                await self._stream(send)
            finally:
                watching.cancel()
                self._pushes.viewers.discard(self._viewer)

    async def _stream(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with aclosing(self._content):
            async for data in self._content:
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def cancel_on_disconnect(receive: Receive, streaming: anyio.CancelScope) -> None:
    """Cancel what is sent to a client when it has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    streaming.cancel()


async def until_server_stops() -> None:
    """Return when the server has been told to stop: sse-starlette finds it out, whoever runs the server."""
    await sse_starlette.EventSourceResponse._listen_for_exit_signal()


class PushedViewer(log.Viewer):
    """A viewer that is sent its events while it waits, all but the first, which it reads by itself."""

    _send: Send
    _pushes: Pushes
    _silent_since: float
    _has_read = False
    _waiting = False
    _due = False
    _unfinished: Awaitable[None] | None = None

    def attach(self, send: Send, pushes: Pushes) -> None:
        """Be told how events are sent, and who pushes."""
        self._send = send
        self._pushes = pushes
        self._silent_since = time.monotonic()
        pushes.viewers.add(self)

    def notify(self) -> None:
        """There is something new: have it pushed, or read."""
        if self._due:
            return
        if self._waiting and self._has_read:
            self._due = True
            self._pushes.add(self)
        else:
            self._wake()

    def push(self) -> None:
        """Send what is new, unless the viewer has been woken or has gone meanwhile."""
        self._due = False
        if self._waiting and (events := self.take()):
            self._hand_over(events)
            if len(events) >= log.PIECE_BYTES:
                self.notify()  # there may be more, but others first
        if self.dismissed:
            self._wake()

    def ping(self, silent_since: float) -> None:
        """Send a comment, if nothing has been sent since then."""
        if self._waiting and self._silent_since <= silent_since:
            self._hand_over(PING)

    async def wait(self) -> None:
        """Return when there is something to read, or a `send` to be finished, which comes first."""
        self._waiting = True
        try:
            await super().wait()
        finally:
            self._waiting = False
        if self._unfinished:
            unfinished, self._unfinished = self._unfinished, None
            await unfinished

    async def read(self) -> bytes:
        """The next events, as soon as there are any, unless they are pushed."""
        events = await super().read()
        self._has_read = True
        self._silent_since = time.monotonic()
        return events

    def _wake(self) -> None:
        self._waiting = False
        super().notify()

    def _hand_over(self, data: bytes) -> None:
        """Take the first step of sending; if there are more, they are the viewer's."""
        self._silent_since = time.monotonic()
        message = {"type": "http.response.body", "body": data, "more_body": True}
        sending = self._send(message).__await__()
        try:
            awaited = next(sending)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - it is raised in the viewer's task, where it belongs
            self._unfinished = failure(error)
        else:
            self._unfinished = Unfinished(sending, awaited)
        self._wake()


class Follower(PushedViewer, log.Follower):
    """A `log.Follower` that is pushed to."""


class Overview(PushedViewer, log.Overview):
    """A `log.Overview` that is pushed to."""


class Unfinished:
    """The rest of a coroutine whose first step has been taken elsewhere, which `await` would refuse."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, None] | Generator[Any, Any, None], awaited: object
    ) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, None]:
        """Wait for what the coroutine waits for, and drive it on."""
        awaited = self._awaited
        try:
            while True:
                try:
                    value = yield awaited
                except BaseException as error:  # noqa: BLE001 - the coroutine decides
                    awaited = self._coroutine.throw(error)
                else:
                    awaited = self._coroutine.send(value)
        except StopIteration:
            return


async def failure(error: Exception) -> None:
    """What is left of a `send` that failed in its first step."""
    raise error
