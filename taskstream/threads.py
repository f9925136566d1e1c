"""Blocking work: functions that run in a bounded number of threads beside the event loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Self

from taskstream.updates import Result


class WorkThreads:
    """At most `limit` threads at a time, each for one call of a blocking function.

    They are daemon threads: an executor's threads would hold up the exit of the server.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._places = asyncio.Semaphore(limit)

    async def call(self, function: Callable[[], object], name: str) -> "ThreadCall":
        """Wait for a free place; a call of the function in a thread of this name."""
        await self._places.acquire()
        return ThreadCall(function, name, self._places.release)

    async def join(self) -> None:
        """Return when every function has returned; none can be called any more."""
        for _ in range(self._limit):
            await self._places.acquire()


class ThreadCall:
    """One call of a blocking function: updates of which the only one is the result.

    The thread starts with the first step, so that what is closed before has not begun. It isn't waited for
    when this is closed, as it may be in the middle of something long; the place is free when it returns.
    """

    def __init__(self, function: Callable[[], object], name: str, on_return: Callable[[], None]) -> None:
        self._function = function
        self._name = name
        self._on_return = on_return
        self._begun = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result:
        """The result; or the function's error, raised. `RuntimeError` if the system has no thread left."""
        if self._begun:
            raise StopAsyncIteration
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Result] = loop.create_future()
        target = copy_context().run
        Thread(target=target, args=(self._call, loop, outcome), name=self._name, daemon=True).start()
        self._begun = True
        try:
            return await outcome
        finally:
            del outcome  # a cycle: error, traceback, this frame

    async def aclose(self) -> None:
        """Leave the place to others, unless the function has been called."""
        if not self._begun:
            self._begun = True
            self._on_return()

    def _call(self, loop: asyncio.AbstractEventLoop, outcome: "asyncio.Future[Result]") -> None:
        try:
            result, error = Result.of(self._function()), None
        except BaseException as raised:  # noqa: BLE001 - it is raised again where the outcome is awaited
            result, error = None, raised
        with suppress(RuntimeError):  # the loop is closed: the server has stopped
            loop.call_soon_threadsafe(self._return, outcome, result, error)
        del outcome, error  # a cycle: error, traceback, this frame

    def _return(
        self, outcome: "asyncio.Future[Result]", result: Result | None, error: BaseException | None
    ) -> None:
        self._on_return()
        if outcome.cancelled():
            return
        if isinstance(
            error, (StopIteration, StopAsyncIteration)
        ):  # which would look like the end of the updates
            wrong = RuntimeError(f"The work raised {type(error).__name__}")
            wrong.__cause__ = error
            outcome.set_exception(wrong)
        elif error is not None:
            outcome.set_exception(error)
        elif result is not None:
            outcome.set_result(result)
