"""Blocking work as an iterator of updates: the bridge between a thread and the event loop."""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import Self

from taskstream.reporting import LatestReport, current
from taskstream.tasks import Result, Update


class WorkThreads:
    """At most `limit` threads at a time, each for one call of a blocking function.

    They are daemon threads: an executor's threads would hold up the exit of the server.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._places = asyncio.Semaphore(limit)

    async def run(self, function: Callable[..., object], parameters: Mapping[str, object]) -> "ThreadRun":
        """Wait for a free place; a call of the function in a thread, which begins when it is iterated."""
        await self._places.acquire()
        name = f"work {getattr(function, '__name__', function)}"
        return ThreadRun(partial(function, **parameters), name, self._places.release)

    async def join(self) -> None:
        """Return when every function has returned; none can be run any more."""
        for _ in range(self._limit):
            await self._places.acquire()


class ThreadRun:
    """One call of a blocking function in a thread: its reports, of which the latest counts, and its result.

    The thread starts with the first step, so that what is closed before has not begun. Closing cancels: the
    function's next report raises. The place is free when the function has returned.
    """

    def __init__(self, function: Callable[[], object], name: str, on_return: Callable[[], None]) -> None:
        """`name` is that of the thread."""
        self._function = function
        self._name = name
        self._on_return = on_return
        self._news = asyncio.Event()
        self._report = LatestReport(self._news.set)
        self._outcome: Result | BaseException | None = None
        self._started = False
        self._finished = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update | Result:
        """The next report or, at last, the result; or the function's error, raised."""
        if self._finished:
            raise StopAsyncIteration
        if not self._started:
            self._start()
        while True:
            await self._news.wait()
            self._news.clear()
            outcome = self._outcome  # first: once it is there, the latest report is the last
            if latest := self._report.take():
                if outcome is not None:
                    self._news.set()
                return Update(*latest)
            if outcome is not None:
                self._finished = True
                return self._result(outcome)

    async def aclose(self) -> None:
        """Cancel the function; without waiting for it, as it may be in the middle of something long."""
        self._finished = True
        self._report.closed = True
        if not self._started:
            self._started = True
            self._on_return()

    def _start(self) -> None:
        """Start the thread. Raises `RuntimeError` if the system has none left."""
        context = copy_context()
        context.run(current.set, self._report.put)
        Thread(target=context.run, args=(self._call,), name=self._name, daemon=True).start()
        self._started = True

    def _call(self) -> None:
        try:
            outcome: Result | BaseException = Result.of(self._function())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the updates are awaited
            outcome = error
        self._report.call(self._return, outcome)

    def _return(self, outcome: Result | BaseException) -> None:
        self._outcome = outcome
        self._news.set()
        self._on_return()

    def _result(self, outcome: Result | BaseException) -> Result:
        if isinstance(outcome, StopAsyncIteration):  # which would look like the end of the reports
            raise RuntimeError("The work raised StopAsyncIteration") from outcome  # noqa: TRY004
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome
