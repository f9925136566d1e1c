"""A `TaskStream` runs while its application does: it says so when it doesn't, and shares nothing."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient

from taskstream import TaskStream

NOT_RUNNING = (
    "This TaskStream isn't running: include its router in the application that is served (the lifespan of "
    "a mounted one never runs). A lifespan of yours that starts tasks has `async with tasks:` around its "
    "`yield`, which the router joins; a script has that, or `with tasks.sync:`, around all that it does."
)


def task_stream() -> TaskStream:
    """One with some work."""
    tasks = TaskStream()

    @tasks.work
    async def work(*, seconds: float = 0) -> None:
        await asyncio.sleep(seconds)

    return tasks


async def test_not_running() -> None:
    """Used while it doesn't run, whatever it is asked for, it says what to do."""
    tasks = task_stream()
    for _ in range(2):
        for ask in (tasks.start("work"), tasks.get("x"), tasks.cancel("x"), anext(tasks.follow("x"))):
            with pytest.raises(RuntimeError) as error:
                await ask
            assert str(error.value) == NOT_RUNNING
        async with tasks:
            await tasks.start("work")  # and after it has run, again


def test_a_mounted_application() -> None:
    """In a mounted application, whose lifespan never runs, the error says why nothing is answered."""
    inner, app = FastAPI(), FastAPI()
    inner.include_router(task_stream().router)
    app.mount("/inner", inner)
    with TestClient(app) as client, pytest.raises(RuntimeError, match=f"^{re.escape(NOT_RUNNING)}$"):
        client.post("/inner/start-task")


async def test_configure() -> None:
    """Settings may be replaced until it starts, and again when it has stopped; not while it runs."""
    tasks = TaskStream(max_tasks=7, retention_seconds=60)
    tasks.configure(max_tasks=8)
    assert (tasks.settings.max_tasks, tasks.settings.retention_seconds) == (8, 60)
    async with tasks:
        with pytest.raises(RuntimeError, match=r"^This TaskStream runs: .* only before it starts\.$"):
            tasks.configure(max_tasks=9)
        assert tasks.settings.max_tasks == 8
    tasks.configure(max_tasks=9)
    assert tasks.settings.max_tasks == 9


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"max_tasks": 0}, r"^The setting max_tasks can't be 0: .*\.$"),
        ({"ping_seconds": "often"}, r"^The setting ping_seconds can't be 'often': .*\.$"),
        ({"colour": "red"}, r"^There is no setting called 'colour', only: redis_url, .*work_threads\.$"),
        ({"redis_url": "http://localhost"}, r"^The setting redis_url can't be 'http://localhost': .*\.$"),
    ],
)
def test_bad_settings(changes: dict[str, object], sentence: str) -> None:
    """A setting that can't be is refused in a sentence, wherever it is given."""
    with pytest.raises(ValueError, match=sentence):
        TaskStream(**changes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=sentence):
        TaskStream().configure(**changes)  # type: ignore[arg-type]


async def test_in_another_event_loop() -> None:
    """One that runs can't be used by a second event loop, and says so."""
    tasks = task_stream()

    async def use() -> None:
        async with tasks:
            pass

    async with tasks:
        with pytest.raises(RuntimeError, match=r"^This TaskStream runs in another event loop: "):
            await asyncio.to_thread(asyncio.run, use())
        with pytest.raises(RuntimeError, match=r"^This TaskStream runs in another event loop: call "):
            await asyncio.to_thread(asyncio.run, tasks.start("work"))
        await tasks.start("work")


async def test_entered_while_it_stops() -> None:
    """Who enters while the one before still cleans up has tasks of its own, which go on."""
    tasks = TaskStream()
    cleaning = asyncio.Event()
    begun = asyncio.Event()

    @tasks.work
    async def cleans_up() -> None:
        try:
            begun.set()
            await asyncio.sleep(600)
        finally:
            cleaning.set()
            await asyncio.sleep(0.1)

    async def leave() -> None:
        async with tasks:
            await tasks.start(cleans_up)
            await begun.wait()

    leaving = asyncio.create_task(leave())
    await cleaning.wait()
    async with tasks:
        task_id = (await tasks.start(cleans_up)).task_id
        await leaving
        assert (await tasks.get(task_id)).status == "STARTED"


async def test_entered_twice() -> None:
    """Who enters last leaves last: tasks go on until then."""
    tasks = task_stream()
    async with tasks:
        async with tasks:
            task_id = (await tasks.start("work", seconds=600)).task_id
        statuses = (event.snapshot.status async for event in tasks.follow(task_id) if event.snapshot)
        while await anext(statuses) != "STARTED":
            pass
    with pytest.raises(RuntimeError):
        await tasks.get(task_id)


def test_two_in_one_application() -> None:
    """Two of them share nothing; nor do they touch what other routers keep in the lifespan's state."""
    app = FastAPI()
    for prefix in ("/one", "/two"):

        @asynccontextmanager
        async def lifespan(_: FastAPI, name: str = prefix) -> AsyncIterator[dict[str, str]]:
            yield {"tasks": name, "registry": name, name: name}

        app.include_router(APIRouter(lifespan=lifespan), prefix=prefix)
        app.include_router(task_stream().router, prefix=prefix)

    @app.get("/state")
    async def state_of(request: Request) -> list[str]:
        return sorted(request.state._state)

    with TestClient(app) as client:
        task_id = client.post("/one/start-task").json()["task_id"]
        assert '"SUCCESS"' in client.get(f"/one/task-progress/{task_id}").text
        assert client.get(f"/two/tasks/{task_id}").status_code == 404
        assert [client.get(f"/{name}/health").json()["tasks"] for name in ("one", "two")] == [1, 0]
        state = client.get("/state").json()
    assert [key for key in state if not key.startswith("taskstream-")] == [
        "/one",
        "/two",
        "registry",
        "tasks",
    ]
    assert len({*state}) == 6  # each of the two has a key of its own, by which it knows its server
