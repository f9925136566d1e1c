"""Blocking work as an async generator: the bridge between a thread and the event loop."""

import asyncio
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Protocol

from taskstream.tasks import Result, Update, Updates


class Report(Protocol):
    """What a blocking function is given to say how far it is."""

    def __call__(self, progress: float, message: str, data: object = None) -> None:
        """Report percent, words and details. Raises `asyncio.CancelledError` once the task is cancelled."""


class WorkThreads:
    """At most `limit` threads at a time, each for one run of some blocking function.

    They are daemon threads: an executor's threads would hold up the exit of the server.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._places = asyncio.Semaphore(limit)

    async def run(self, function: Callable[..., object], parameters: Mapping[str, object]) -> Updates:
        """Call `function(report, **parameters)` in a thread as soon as there is a place for it."""
        await self._places.acquire()
        run = ThreadRun(function, parameters, on_return=self._places.release)
        try:
            run.start()
        except RuntimeError:  # the system has no thread left
            self._places.release()
            raise
        return run.updates()

    async def join(self) -> None:
        """Return when every function has returned; none can be run any more."""
        for _ in range(self._limit):
            await self._places.acquire()


class ThreadRun:
    """One call of a blocking function in a thread of its own.

    Only the latest report is kept, and the loop is woken at most once for all that it has not seen yet,
    so a function may report in a tight loop.
    """

    def __init__(
        self,
        function: Callable[..., object],
        parameters: Mapping[str, object],
        on_return: Callable[[], None],
    ) -> None:
        self._function = function
        self._parameters = parameters
        self._on_return = on_return
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._woken = False
        self._latest: tuple[float, str, object] | None = None
        self._outcome: Result | BaseException | None = None
        self._cancelled = False

    def start(self) -> None:
        """Start the thread. Raises `RuntimeError` if there can't be one more."""
        name = f"work {getattr(self._function, '__name__', self._function)}"
        Thread(target=self._call, name=name, daemon=True).start()

    async def updates(self) -> Updates:
        """The reports, the result; or the error, raised. Closing it cancels the function."""
        seen = None
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                self._woken = False  # before the look at the latest: a later report wakes us again
                outcome = self._outcome  # likewise: once it is there, the latest is the last
                if self._latest is not None and self._latest is not seen:
                    seen = self._latest
                    yield Update(*seen)
                if isinstance(outcome, BaseException):
                    raise outcome
                if outcome is not None:
                    yield outcome
                    return
        finally:
            self._cancelled = True

    def _call(self) -> None:
        try:
            value = self._function(self._report, **self._parameters)
            outcome: Result | BaseException = value if isinstance(value, Result) else Result(value)
        except BaseException as error:  # noqa: BLE001 - it is raised again where the updates are awaited
            outcome = error
        self._in_loop(self._return, outcome)

    def _report(self, progress: float, message: str, data: object = None) -> None:
        if self._cancelled:
            raise asyncio.CancelledError("The task was cancelled")
        self._latest = (progress, message, data)
        if not self._woken:
            self._woken = True
            self._in_loop(self._news.set)

    def _return(self, outcome: Result | BaseException) -> None:
        self._outcome = outcome
        self._news.set()
        self._on_return()

    def _in_loop(self, callback: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop is closed: the server has stopped, and nobody waits any more
            self._cancelled = True
