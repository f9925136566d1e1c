"""Runs of some work in the event loop of the test, and the forms in which a function can be work."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from taskstream import Event, Result, Snapshot, TaskStream, Update

Function = Callable[[], object]
Form = Callable[[Function], Function]
Updates = AsyncIterator[Update | Result]


async def events(tasks: TaskStream, work: Callable[..., object], **parameters: Any) -> list[Event]:
    """All events of a run of some work. Fails if it doesn't end."""
    task_id = (await tasks.start(work, **parameters)).task_id
    async with asyncio.timeout(10):
        return [event async for event in tasks.follow(task_id)]


async def snapshots(tasks: TaskStream, work: Callable[..., object], **parameters: Any) -> list[Snapshot]:
    """All snapshots of a run of some work."""
    return [event.snapshot for event in await events(tasks, work, **parameters) if event.snapshot]


async def last_snapshot(tasks: TaskStream, work: Callable[..., object], **parameters: Any) -> Snapshot:
    """The end of a run of some work."""
    return (await snapshots(tasks, work, **parameters))[-1]


async def story(work: Callable[..., object], **settings: Any) -> list[Event]:
    """All events of some work that runs by itself, in an application with these settings."""
    tasks = TaskStream(**settings)
    tasks.work(work)
    async with tasks:
        return await events(tasks, work)


async def end_of(work: Callable[..., object], **settings: Any) -> Snapshot:
    """How some work ends that runs by itself."""
    [*_, last] = await story(work, **settings)
    assert last.snapshot
    return last.snapshot


async def start_until(tasks: TaskStream, work: Callable[..., object], message: str) -> str:
    """Start some work; the id of its task, as soon as it has said this."""
    task_id = (await tasks.start(work)).task_id
    async with asyncio.timeout(10):
        async for event in tasks.follow(task_id):
            if event.snapshot and event.snapshot.message == message:
                return task_id
    raise AssertionError(f"It has ended without {message!r}")


def generator(function: Function) -> Function:
    """The function as an async generator that yields what it returns."""

    async def work() -> AsyncIterator[Any]:
        yield function()

    return work


def coroutine(function: Function) -> Function:
    """The function as a coroutine function."""

    async def work() -> Any:
        return function()

    return work


def blocking(function: Function) -> Function:
    """The function as work in a thread."""

    def work() -> Any:
        return function()

    return work


def other_thread(function: Function) -> Function:
    """The function as a coroutine function that has it called in a thread."""

    async def work() -> Any:
        return await asyncio.to_thread(function)

    return work


FORMS = (generator, coroutine, blocking, other_thread)


async def three_steps() -> Updates:
    """Work that reports three times, and has a result."""
    for step in (1, 2, 3):
        yield Update(step * 25, f"Step {step}", {"step": step})
    yield Result([1, 2, 3], "Found three")


async def for_ever() -> Updates:
    """Work that comes to no end, but can be cancelled."""
    while True:
        await asyncio.sleep(3600)
        yield Update(0, "never")


def cleans_up(closed: asyncio.Event, turns: int = 1) -> Callable[[], Updates]:
    """Work that says when it has cleaned up, which takes so many turns of the loop."""

    async def work() -> Updates:
        try:
            yield Update(10, "Opened")
            await asyncio.sleep(3600)
        finally:
            for _ in range(turns):
                await asyncio.sleep(0)
            closed.set()

    return work


def others() -> set[asyncio.Task[object]]:
    """The asyncio tasks besides this one."""
    return asyncio.all_tasks() - {asyncio.current_task()}
