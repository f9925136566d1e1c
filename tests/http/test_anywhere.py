"""Tasks are started from anywhere: threads, work, scripts, an application's own lifespan."""

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from taskstream import (
    EVERYBODY,
    InvalidParameters,
    Snapshot,
    TaskNotFound,
    TaskStream,
    current_task_id,
    sync,
)

NO_TASK = "0" * 32


def task_stream(*, scoped: bool = False) -> TaskStream:
    """One whose works start tasks."""
    tasks = TaskStream(scope=(lambda: "nobody") if scoped else None)

    @tasks.work
    async def child(*, seconds: float = 0) -> str | None:
        await asyncio.sleep(seconds)
        return current_task_id()

    @tasks.work
    async def in_the_loop() -> str:
        return (await tasks.start(child)).task_id

    @tasks.work
    def in_a_thread() -> str:
        return tasks.sync.start(child).task_id

    @tasks.work
    async def in_a_thread_of_its_own() -> str:
        return (await asyncio.to_thread(tasks.sync.start, child)).task_id

    @tasks.work
    def polls() -> list[str]:
        first = tasks.sync.start(child, seconds=600)
        assert tasks.sync.get(first.task_id).task_id == first.task_id
        return [first.task_id, tasks.sync.cancel(first.task_id).status]

    return tasks


async def result_of(tasks: TaskStream, task_id: str) -> object:
    """What a task returns, which has to succeed."""
    *_, last = [event.snapshot async for event in tasks.follow(task_id, scope=EVERYBODY) if event.snapshot]
    assert last.status == "SUCCESS", last.message
    return last.data


@pytest.mark.parametrize("work", ["in_the_loop", "in_a_thread", "in_a_thread_of_its_own"])
@pytest.mark.parametrize("scoped", [True, False])
async def test_work_starts_tasks(work: str, scoped: bool) -> None:
    """Wherever it runs, it starts tasks, which are in the scope of its own; each knows its id."""
    tasks = task_stream(scoped=scoped)
    async with tasks:
        parent = await tasks.start(work, scope="alice")
        child = str(await result_of(tasks, parent.task_id))
        assert await result_of(tasks, child) == child
        assert {each.task_id for each in await tasks.list("alice")} == {parent.task_id, child}
        assert current_task_id() is None


async def test_work_polls_tasks() -> None:
    """Blocking work asks for the tasks that it has started, and cancels them."""
    tasks = task_stream()
    async with tasks:
        answer = await result_of(tasks, (await tasks.start("polls")).task_id)
        assert isinstance(answer, list)
        assert (answer[1], (await tasks.get(answer[0])).status) == ("REVOKED", "REVOKED")


async def test_a_forgotten_await() -> None:
    """Work that returns what it should have awaited is told so."""
    tasks = task_stream()

    @tasks.work
    def forgets() -> object:
        return tasks.start("child")

    async with tasks:
        task_id = (await tasks.start(forgets)).task_id
        *_, last = [event.snapshot async for event in tasks.follow(task_id)]
    assert last
    assert (last.status, "Tasks.start(…): an `await` is missing" in last.message) == ("FAILURE", True)


async def test_threads() -> None:
    """In a thread, the verbs do and raise what their twins do."""
    tasks = task_stream()
    async with tasks:
        task_id = (await asyncio.to_thread(tasks.sync.start, "child", name="mine")).task_id
        assert (await asyncio.to_thread(tasks.sync.get, task_id)).name == "mine"
        with pytest.raises(TaskNotFound):
            await asyncio.to_thread(tasks.sync.get, NO_TASK)
        with pytest.raises(
            InvalidParameters, match=r"^seconds: Input .*; more: Extra inputs .* permitted$"
        ):
            await asyncio.to_thread(tasks.sync.start, "child", seconds="x", more=1)


async def test_what_raises_keeps_nothing() -> None:
    """A thread that was told that there is no such task leaves no garbage, whatever it holds."""
    tasks = task_stream()

    def ask() -> weakref.ref[threading.Event]:
        held = threading.Event()
        with suppress(TaskNotFound):
            tasks.sync.get("no id")  # of which nothing is logged
        return weakref.ref(held)

    gc.collect()
    gc.disable()
    try:
        async with tasks:
            assert (await asyncio.to_thread(ask))() is None
    finally:
        gc.enable()


async def test_where_it_can_not_wait() -> None:
    """In the event loop's own thread it says what to call; where nothing runs, what to enter."""
    tasks = task_stream()
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"^This TaskStream isn't running: .*`with tasks\.sync:`"):
            tasks.sync.get(NO_TASK)
        async with tasks:
            with pytest.raises(RuntimeError, match=r"can't wait here: call `await tasks\.start\(…\)`\.$"):
                tasks.sync.start("child")
            with pytest.raises(RuntimeError, match=r"call `await tasks\.get\(…\)`\.$"):
                tasks.sync.get(NO_TASK)


async def test_what_is_no_text() -> None:
    """A database may have ids, names and keys as another type, which is refused by the argument's name."""
    async with task_stream() as tasks:
        calls: dict[str, Callable[[Any], Awaitable[object]]] = {
            "task_id": tasks.get,
            "name": lambda value: tasks.start("child", name=value),
            "idempotency_key": lambda value: tasks.start("child", idempotency_key=value),
        }
        for argument, call in calls.items():
            with pytest.raises(TypeError, match=f"^The {argument} has to be text \\(str\\), not UUID$"):
                await call(uuid4())


def call_in_thread(call: Callable[[], object]) -> "tuple[threading.Thread, list[BaseException]]":
    """A thread that calls this, and what that raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - it is compared
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, raised


async def test_a_loop_that_does_not_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread doesn't wait for ever for an event loop that something blocks, perhaps this very thread."""
    monkeypatch.setattr(sync, "TURN_SECONDS", 0.1)
    tasks = task_stream()
    async with tasks:
        thread, raised = call_in_thread(lambda: tasks.sync.start("child"))
        thread.join()  # which blocks the loop
        assert "hasn't answered for " in str(raised[0])
        assert (await tasks.registry.count())[0] == 0


def test_a_loop_that_has_stopped() -> None:
    """Nor does it for one that stops, or has stopped without a word."""
    tasks = task_stream()
    asked = threading.Event()

    @asynccontextmanager
    async def never() -> AsyncIterator[None]:
        async with tasks:
            get = tasks.get

            async def wait(task_id: str, **_: object) -> Snapshot:
                asked.set()
                await asyncio.Event().wait()
                return await get(task_id)

            tasks.get = wait  # type: ignore[method-assign]
            yield

    async def stop_while_asked() -> "tuple[threading.Thread, list[BaseException]]":
        async with never():
            called = call_in_thread(lambda: tasks.sync.get(NO_TASK))
            await asyncio.to_thread(asked.wait, 10)
        return called

    thread, raised = asyncio.run(stop_while_asked())
    thread.join(10)
    assert str(raised[0]) == sync.STOPPED

    loop = asyncio.new_event_loop()
    loop.run_until_complete(tasks.__aenter__())
    loop.close()
    thread, raised = call_in_thread(lambda: tasks.sync.start("child"))
    thread.join(10)
    assert "has stopped" in str(raised[0])
    with pytest.raises(RuntimeError, match="is closed"):
        asyncio.run(tasks.__aexit__())  # so that it no longer listens for the stop of a server


def test_a_script() -> None:
    """Without a server, `with tasks.sync:` runs them, in a thread that ends with it."""
    tasks = task_stream()
    before = threading.enumerate()
    for _ in range(2):
        with tasks.sync as verbs:
            parent = verbs.start("in_a_thread").task_id
            while not verbs.get(parent).status.ended:
                pass
            assert verbs.get(parent).status == "SUCCESS"
            verbs.start("child", seconds=600)
        with pytest.raises(RuntimeError, match="isn't running"):
            verbs.get(parent)
    for thread in {*threading.enumerate()} - {*before}:
        thread.join(10)
        assert not thread.is_alive()


def test_a_script_that_can_not_start() -> None:
    """What keeps them from starting is raised where they are entered."""
    tasks = TaskStream()

    @tasks.work
    def wrong(*, value: "Unknown") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match="has an annotation that can't be read"), tasks.sync:
        pass


def test_a_lifespan_of_ones_own() -> None:
    """A task that is started at startup, before the router's lifespan, which joins; `def` routes too."""
    tasks = task_stream()
    ids = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with tasks:
            ids.append((await tasks.start("child")).task_id)
            yield
            assert (await tasks.get(ids[0])).status == "SUCCESS"

    app = FastAPI(lifespan=lifespan)
    app.include_router(tasks.router)

    @app.post("/def")
    def start() -> Snapshot:
        return tasks.sync.start("child")

    for _ in range(2):
        ids.clear()
        with TestClient(app) as client:
            ids.append(client.post("/def").json()["task_id"])
            for task_id in ids:
                assert '"status":"SUCCESS"' in client.get(f"/task-progress/{task_id}").text
