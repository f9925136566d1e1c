"""Blocking work as an iterator of updates: the bridge between a thread and the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import Self

from taskstream.mailbox import OUTPUT_QUEUE_LENGTH, Item, Mailbox
from taskstream.reporting import current
from taskstream.updates import Result


class WorkThreads:
    """At most `limit` threads at a time, each for one call of a blocking function.

    They are daemon threads: an executor's threads would hold up the exit of the server.
    """

    def __init__(self, limit: int, output_queue_length: int = OUTPUT_QUEUE_LENGTH) -> None:
        """`output_queue_length`: pieces of output that may wait before a function has to."""
        self._limit = limit
        self._output_queue_length = output_queue_length
        self._places = asyncio.Semaphore(limit)

    async def run(self, function: Callable[..., object], parameters: Mapping[str, object]) -> "ThreadRun":
        """Wait for a free place; a call of the function in a thread, which begins when it is iterated."""
        await self._places.acquire()
        name = f"work {getattr(function, '__name__', function)}"
        return ThreadRun(
            partial(function, **parameters), name, self._output_queue_length, self._places.release
        )

    async def join(self) -> None:
        """Return when every function has returned; none can be run any more."""
        for _ in range(self._limit):
            await self._places.acquire()


class ThreadRun:
    """One call of a blocking function in a thread: what it says, and its result.

    The thread starts with the first step, so that what is closed before has not begun. Closing cancels: the
    function's next report raises. The place is free when the function has returned.
    """

    def __init__(
        self,
        function: Callable[[], object],
        name: str,
        output_queue_length: int,
        on_return: Callable[[], None],
    ) -> None:
        """`name` is that of the thread."""
        self._function = function
        self._name = name
        self._on_return = on_return
        self._news = asyncio.Event()
        self._mailbox = Mailbox(self._news.set, output_queue_length)
        self._items: deque[Item] = deque()
        self._outcome: Result | BaseException | None = None
        self._started = False
        self._finished = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item | Result:
        """The next report or output or, at last, the result; or the function's error, raised."""
        if self._finished:
            raise StopAsyncIteration
        if not self._started:
            self._start()
        while not self._items:
            outcome = self._outcome  # first: once it is there, nothing more is said
            self._items.extend(self._mailbox.take())
            if self._items:
                break
            if outcome is not None:
                self._finished = True
                return self._result(outcome)
            await self._news.wait()
            self._news.clear()
        return self._items.popleft()

    async def aclose(self) -> None:
        """Cancel the function; without waiting for it, as it may be in the middle of something long."""
        self._finished = True
        self._mailbox.close()
        if not self._started:
            self._started = True
            self._on_return()

    def _start(self) -> None:
        """Start the thread. Raises `RuntimeError` if the system has none left."""
        context = copy_context()
        context.run(current.set, self._mailbox)
        Thread(target=context.run, args=(self._call,), name=self._name, daemon=True).start()
        self._started = True

    def _call(self) -> None:
        try:
            outcome: Result | BaseException = Result.of(self._function())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the updates are awaited
            outcome = error
        self._mailbox.call(self._return, outcome)

    def _return(self, outcome: Result | BaseException) -> None:
        self._outcome = outcome
        self._news.set()
        self._on_return()

    def _result(self, outcome: Result | BaseException) -> Result:
        if isinstance(outcome, StopAsyncIteration):  # which would look like the end of the updates
            raise RuntimeError("The work raised StopAsyncIteration") from outcome  # noqa: TRY004
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome
