"""What an application's own routes do with tasks: follow them, stream them, and answer errors right."""

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Annotated, Any

import aiohttp
import pytest
from fastapi import FastAPI, Request, Response
from pydantic import Field
from starlette.middleware.base import RequestResponseEndpoint
from starlette.types import Message

from taskstream import Event, Output, Result, Snapshot, TaskNotFound, TaskStream, Update
from taskstream.http.named_events import NamedFollower
from taskstream.log import Log
from taskstream.server.connection import Connection
from tests.support.api import Api, events
from tests.support.threads import ThreadServer

NO_TASK = "0" * 32

WRONG: dict[str, object] = {
    "error": ("error", "text"),  # the name that EventSource itself has for a broken connection
    "line": ("done\n", "text"),  # which would tear it in two
    "number": 5,
    "text": "abc",
    "nameless": (None, 3),
    "three": ("a", 1, 2),
}
"""What a function that names events must not return."""


def name_event(event: Event) -> tuple[str, object] | None:
    """Events under names of one's own."""
    if event.output is not None:
        return "token", event.output
    assert event.snapshot is not None
    match event.snapshot.status:
        case "PROGRESS":
            return "step", {"percent": event.snapshot.progress}
        case "SUCCESS":
            return "done", event.snapshot.data
    return None


def name_unless_done(event: Event) -> tuple[str, object] | None:
    """The same without the last."""
    named = name_event(event)
    return None if named and named[0] == "done" else named


def add_speakers(tasks: TaskStream) -> None:
    """Add work that has something to say."""

    @tasks.work
    async def speak() -> AsyncIterator[Update | Output | Result]:
        yield Output("two\r\nlines\rand three\n")
        yield Update(50, "Half")
        yield Result("as it\nstands")

    @tasks.work
    async def speak_much() -> AsyncIterator[Update]:
        for step in range(900):
            yield Update(step / 9, "x" * 200)


def application() -> FastAPI:
    """An application with routes of its own, and the tasks of nobody else."""
    tasks = TaskStream(max_tasks=2, max_streams=4, retention_seconds=60)
    app = FastAPI()
    app.include_router(tasks.router)

    add_speakers(tasks)

    @tasks.work
    async def wait(*, count: Annotated[int, Field(ge=0)] = 1) -> int:
        await asyncio.sleep(600)
        return count

    @app.post("/own")
    async def start(count: int = 1, key: str | None = None) -> Snapshot:
        return await tasks.start(wait, count=count, idempotency_key=key)

    @app.post("/own/{task_id}/cancel")
    async def cancel(task_id: str) -> Snapshot:
        return await tasks.cancel(task_id)

    @app.get("/own/{task_id}")
    async def get(task_id: str) -> Snapshot:
        return await tasks.get(task_id)

    @app.get("/own/{task_id}/stream")
    async def stream(request: Request, task_id: str) -> Response:
        return await tasks.stream(request, task_id)

    @app.get("/own/{task_id}/{naming}")
    async def named(request: Request, task_id: str, naming: str) -> Response:
        name: dict[str, Any] = {"named": name_event, "unfinished": name_unless_done}
        return await tasks.stream(request, task_id, name.get(naming, lambda _: WRONG[naming]))

    @app.get("/nothing")
    async def nothing(request: Request) -> Response:
        return await tasks.stream_many(request, [])

    return app


@pytest.fixture(params=["auto", Connection])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the application answers, in both ways of streaming."""
    with ThreadServer(application(), request.param) as server:
        yield server.url


@pytest.fixture
def own(url: str, session: aiohttp.ClientSession) -> Api:
    """A client of it."""
    return Api(session, [url])


async def test_named_events(own: Api) -> None:
    """A function names events and makes their data, text or JSON; or leaves them out.

    The ids are those of the task: a viewer resumes behind any of them, and 204 is its end.
    """
    task_id = (await own.start(work="speak"))["task_id"]
    last = (await own.watch(task_id))[-1]
    async with own.open(f"/own/{task_id}/named") as response:
        assert response.headers["Cache-Control"] == "no-store, no-transform"
        seen = [(event["id"], event["event"], event.data) async for event in events(response)]
    assert seen == [
        ("3", "token", ["two", "lines", "and three", ""]),
        ("4", "step", ['{"percent":50}']),
        (str(last.id), "done", ["as it", "stands"]),
    ]
    for last_event_id, expected in ((1, [3, 4, 5]), (3, [4, 5]), (4, [5])):
        async with own.open(f"/own/{task_id}/named", last_event_id) as response:
            again = [event async for event in events(response)]
        assert [event.id for event in again] == expected
        assert again[0]["retry"]
    for path in (f"/own/{task_id}/named", f"/own/{task_id}/stream", "/nothing"):  # none, of no tasks
        async with own.open(path, last.id) as response:
            assert (response.status, response.headers["Cache-Control"]) == (204, "no-store")


async def test_many_named_events(own: Api) -> None:
    """All events of a long log are named, however little of each of its pieces is sent."""
    task_id = (await own.start(work="speak_much"))["task_id"]
    last = (await own.watch(task_id))[-1]
    async with own.open(f"/own/{task_id}/named") as response:
        seen = [event async for event in events(response)]
    assert len(seen) == 901
    assert (seen[-1].id, seen[-1]["event"]) == (last.id, "done")


async def test_nothing_more_is_named(own: Api) -> None:
    """When all that remains of an ended task is left out, 204 keeps EventSource from asking for ever."""
    task_id = (await own.start(work="speak"))["task_id"]
    await own.watch(task_id)
    async with own.open(f"/own/{task_id}/unfinished") as response:
        *_, last = [event async for event in events(response)]
    assert last["event"] == "step"
    async with own.open(f"/own/{task_id}/unfinished", last.id) as response:
        assert response.status == 204


@pytest.mark.parametrize("kind", WRONG)
async def test_what_names_no_event(own: Api, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """A function that returns neither a name and data nor None is told so in the log."""
    task_id = (await own.start(work="wait"))["task_id"]
    with pytest.raises(aiohttp.ClientError):
        async with own.open(f"/own/{task_id}/{kind}") as response:
            await response.read()
    sentence = f"has to return a name (str) and data, or None to leave an event out, not {WRONG[kind]!r}."
    names = {"error": "An event can't be called 'error'", "line": "An event can't be called 'done\\n'"}
    assert names.get(kind, sentence) in caplog.text
    async with own.session.get(own.url("/metrics")) as metrics:
        text = await metrics.text()
        assert 'closed_total{outcome="left"} 0.0' in text
        assert 'closed_total{outcome="failed"} 0.0' not in text


async def answer(api: Api, method: str, path: str) -> tuple[int, str | None, object]:
    """The status of an answer, its Retry-After, and its detail."""
    async with api.session.request(method, api.url(path)) as response:
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, response.headers.get("Retry-After"), (await response.json())["detail"]


async def test_errors_in_routes_of_ones_own(own: Api) -> None:
    """What isn't known is a 404 in any route; what is wrong a 422; and what has no place a 503."""
    for method, path in (
        ("GET", "/own/{}"),
        ("POST", "/own/{}/cancel"),
        ("GET", "/own/{}/stream"),
        ("GET", "/own/{}/named"),
    ):
        status, _, detail = await answer(own, method, path.format(NO_TASK))
        assert (status, str(detail)[:6]) == (404, "Task '")
    status, _, detail = await answer(own, "POST", "/own?count=-1")
    assert status == 422
    assert [error["loc"] for error in detail] == [["body", "count"]]  # type: ignore[attr-defined]
    tasks = [await own.json("POST", f"/own?key={key}") for key in ("a", "b", "a")]
    assert tasks[0]["task_id"] == tasks[2]["task_id"]
    status, _, detail = await answer(own, "POST", "/own?count=2&key=a")
    assert (status, "used with other parameters" in json.dumps(detail)) == (422, True)
    assert await answer(own, "POST", "/own") == (
        503,
        "5",
        "All 2 places are taken by tasks that still run: try again later.",
    )
    async with AsyncExitStack() as stack:
        for _ in range(4):
            path = f"/own/{tasks[0]['task_id']}/stream"
            await anext(events(await stack.enter_async_context(own.open(path))))
        for path in ("named", "stream"):
            refused = await answer(own, "GET", f"/own/{tasks[0]['task_id']}/{path}")
            assert refused == (503, "5", "All 4 streams are taken: try again later.")


async def test_follow() -> None:
    """`follow` hands over the numbered events behind any of them, up to the last, and then ends."""
    tasks = TaskStream()

    @tasks.work
    async def speak() -> AsyncIterator[Update | Output | Result]:
        yield Output("text")
        yield Update(50, "Half", {"rows": [1]})
        yield Result([2])

    async with tasks:
        task_id = (await tasks.start(speak)).task_id
        seen = [event async for event in tasks.follow(task_id)]
        assert [event.id for event in seen] == [1, 2, 3, 4, 5]
        assert [event.output for event in seen] == [None, None, "text", None, None]
        assert [event.snapshot and event.snapshot.data for event in seen] == [
            *(None, None, None),
            {"rows": [1]},
            [2],
        ]
        assert seen[-1].snapshot == await tasks.get(task_id)
        for after in range(6):
            assert [event async for event in tasks.follow(task_id, after=after)] == seen[after:]
        assert [event async for event in tasks.follow(task_id, after=99)] == seen
        with pytest.raises(TaskNotFound, match=r"^Task '0000"):
            await anext(tasks.follow(NO_TASK))


async def test_follow_ends_with_the_server() -> None:
    """Who follows a task isn't left waiting when there is nothing to wait for any more."""
    tasks = TaskStream()

    @tasks.work
    async def wait() -> None:
        await asyncio.Event().wait()

    async def collect(task_id: str) -> list[Event]:
        return [event async for event in tasks.follow(task_id)]

    async with tasks:
        following = asyncio.create_task(collect((await tasks.start(wait)).task_id))
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        statuses = [event.snapshot.status for event in await following if event.snapshot]
    assert statuses[-1] in ("STARTED", "REVOKED")


def test_a_named_event_for_what_is_lost() -> None:
    """It has no id, whatever its name: who resumes is told again, or gets what they haven't seen."""
    log = Log(1)
    for number in range(3):
        log.append(b"%d" % number)
    asked: list[Event] = []

    def name(event: Event) -> tuple[str, object]:
        asked.append(event)
        return ("gone", None) if event.lost else ("event", event.id)

    viewer = NamedFollower(log, 0, name)
    assert not viewer.caught_up
    assert viewer.take() == b"event: gone\ndata: null\n\nid: 3\nevent: event\ndata: 3\n\n"
    assert viewer.caught_up
    assert len(asked) == 2  # each event is named once


@pytest.mark.parametrize("path", ["/task-progress/{}", "/task-progress?task_id={}"])
@pytest.mark.parametrize("wrapped", [True, False])
async def test_a_viewer_that_leaves_keeps_no_log(path: str, wrapped: bool) -> None:
    """Whoever leaves a stream, also behind middleware, keeps nothing of its task until a collection."""
    tasks = TaskStream(retention_seconds=0.01)
    app = FastAPI()
    app.include_router(tasks.router)
    end, begun = asyncio.Event(), asyncio.Event()

    @tasks.work
    async def work() -> None:
        await end.wait()

    if wrapped:

        @app.middleware("http")
        async def pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
            return await call_next(request)

    async def receive() -> Message:
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message.get("body"):
            begun.set()

    async with tasks:
        task_id = (await tasks.start(work)).task_id
        log = weakref.ref((await tasks.find(task_id, None)).log)
        target, _, query = path.format(task_id).partition("?")
        scope = {
            "type": "http",
            "method": "GET",
            "path": target,
            "query_string": query.encode(),
            "headers": [],
        }
        gc.disable()
        try:
            await app(scope, receive, send)
            end.set()
            assert [event async for event in tasks.follow(task_id)]
            await asyncio.sleep(0.1)  # until it is forgotten
            assert log() is None
        finally:
            gc.enable()
