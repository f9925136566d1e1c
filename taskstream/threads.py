"""Blocking work: functions that run in a bounded number of threads beside the event loop."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from threading import Thread, current_thread

from taskstream.encoding import to_json
from taskstream.updates import Result


class WorkThreads:
    """At most `limit` threads, each for one call of a blocking function at a time.

    A thread is started for the first call that finds none idle, and kept: beside seven that compute,
    `Thread.start()` holds up the event loop for 44 ms. They are daemon threads: an executor's would hold up
    the exit of the server.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._places = asyncio.Semaphore(limit)
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._idle = 0

    async def call(self, function: Callable[[], object], name: str) -> AsyncGenerator[Result, None]:
        """Wait for a free place; the result of the function, called in a thread when it is asked for.

        What is closed before has called nothing, and leaves its place. Later the thread isn't waited for,
        as it may be in the middle of something long: its place is free when it returns. Raises what the
        function raises; `RuntimeError` if the system has no thread left.
        """
        call = self._call(function, name)
        await anext(call)
        return call

    async def join(self) -> None:
        """Return when every function has returned; none can be called any more, and threads end."""
        try:
            for _ in range(self._limit):
                await self._places.acquire()
        finally:
            for _ in range(self._limit):  # and no more threads, each of which takes one
                self._calls.put(None)

    async def _call(self, function: Callable[[], object], name: str) -> AsyncGenerator[Result, None]:
        await self._places.acquire()
        begun = False
        outcome: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            yield Result()  # here is a place
            if self._idle:
                self._idle -= 1
            else:
                Thread(target=self._serve, daemon=True).start()
            self._calls.put(partial(copy_context().run, self._run, function, outcome, name))
            begun = True
            yield await outcome
        finally:
            if not begun:
                self._places.release()
            del outcome  # else an error is in a cycle with its traceback, which has this frame

    def _serve(self) -> None:
        """Call one function after another, until there is a `None`, or one comes back in a forked child."""
        process_id = os.getpid()
        while process_id == os.getpid() and (call := self._calls.get()):
            call()
            del call  # else an idle thread keeps what its last function was given

    def _run(self, function: Callable[[], object], outcome: "asyncio.Future[Result]", name: str) -> None:
        current_thread().name = name
        settle: Callable[[], None]
        try:
            settle = partial(outcome.set_result, next(encoded_result(function)))
        except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is awaited
            settle = partial(outcome.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: the server has stopped
            outcome.get_loop().call_soon_threadsafe(self._settle, outcome, settle)
        del outcome, settle  # likewise

    def _settle(self, outcome: "asyncio.Future[Result]", settle: Callable[[], None]) -> None:
        """Free the place of a function that has returned, and hand over how."""
        self._idle += 1
        self._places.release()
        if not outcome.cancelled():
            settle()


def encoded_result(function: Callable[[], object]) -> Iterator[Result]:
    """Its result; in a generator, where `StopIteration`, which no future takes, becomes another error."""
    result = Result.of(function())
    yield replace(result, data=to_json(result.data))  # here, where it holds up nobody
