"""The HTTP contract. It holds for whatever answers at CONTRACT_URLS: another back end, a proxy.

What no back end touches is in test_requests.py, and only tried once here.
"""

import asyncio
import json
import random
import re
from datetime import datetime
from urllib.parse import quote

import pytest

from tests.support.api import LONG_TASK, SNAPSHOT_KEYS, Api, Event, events

NO_TASK = "0" * 32


def ids(stream: list[Event]) -> list[int]:
    return [event.id for event in stream]


def progress(stream: list[Event]) -> list[int]:
    return [event.snapshot["progress"] for event in stream]


# Starting


async def test_start_answers_the_first_snapshot(api: Api) -> None:
    """Starting answers at once, with the task's id and where to watch it."""
    async with api.session.post(api.url("/start-task"), json={"name": "Käse 🧀", "seconds": 0}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json"
        snapshot = await response.json()
        assert response.headers["Location"] == f"/task-progress/{snapshot['task_id']}"
    assert list(snapshot) == SNAPSHOT_KEYS
    assert re.fullmatch("[0-9a-f]{32}", snapshot.pop("task_id"))
    assert datetime.fromisoformat(snapshot.pop("updated_at")).utcoffset() is not None
    assert snapshot == {
        "name": "Käse 🧀",
        "status": "PENDING",
        "progress": 0,
        "message": "Waiting to start",
        "steps": [],
        "data": None,
        "started_at": None,
    }


async def test_what_is_refused(api: Api) -> None:
    """A field that is wrong is named, a body over 64 KiB and an unknown task are refused, as everywhere."""
    answer = await api.json("POST", "/start-task", 422, data=b'{"steps": 0}')
    assert [error["loc"] for error in answer["detail"]] == [["body", "steps"]]
    assert "64 KiB" in (await api.json("POST", "/start-task", 413, data=b" " * 70_000))["detail"]
    for method, path in (
        ("GET", "/task-progress/{}"),
        ("GET", "/task-status/{}"),
        ("POST", "/cancel-task/{}"),
    ):
        assert "not found" in (await api.json(method, path.format(NO_TASK), 404))["detail"]


async def test_hostile_text(api: Api) -> None:
    """A name arrives as it was sent, and forges no event; an id that nobody gave out counts as none."""
    name = 'Käse 🧀 \u2028 \x00\x7f <b> "\\" \r\n\ndata: {}\n\nid: 99\nevent: forged\ndata: x'
    task = await api.start(name=name, seconds=0, steps=2)
    stream = await api.watch(task["task_id"], "99 🧀")
    assert ids(stream) == [1, 2, 3, 4, 5]
    assert {event.snapshot["name"] for event in stream} == {name}


# Watching


@pytest.mark.parametrize("work", ["simulated", "scraping"])
async def test_stream(api: Api, work: str) -> None:
    """A stream tells a task's whole story in numbered snapshots, each of them complete, and ends."""
    task = await api.start(work=work, name="story", seconds=0.3, steps=7)
    async with api.open(f"/task-progress/{task['task_id']}") as response:
        assert response.headers["Content-Type"].partition(";")[0] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store, no-transform"
        stream = [event async for event in events(response)]

    assert ids(stream) == list(range(1, len(stream) + 1))
    assert [event["event"] for event in stream] == [None] * len(stream)
    assert stream[0]["retry"]
    assert [event["retry"] for event in stream[1:]] == [None] * (len(stream) - 1)

    snapshots = [event.snapshot for event in stream]
    assert {(tuple(each), each["task_id"], each["name"]) for each in snapshots} == {
        (tuple(SNAPSHOT_KEYS), task["task_id"], "story")
    }
    statuses = [each["status"] for each in snapshots]
    assert statuses[:2] == ["PENDING", "STARTED"]
    assert set(statuses[2:-1]) == {"PROGRESS"}
    assert statuses[-1] == "SUCCESS"
    assert progress(stream) == sorted(progress(stream))
    assert max(progress(stream[:-1])) <= 99
    assert progress(stream)[-1] == 100
    assert snapshots[0]["started_at"] is None
    assert len({each["started_at"] for each in snapshots[1:]}) == 1
    assert [each["updated_at"] for each in snapshots] == sorted(each["updated_at"] for each in snapshots)
    assert await api.status(task["task_id"]) == snapshots[-1]


async def test_simulated_steps(api: Api) -> None:
    """The simulated work takes equal steps."""
    stream = await api.watch((await api.start(seconds=0.2, steps=4))["task_id"])
    assert progress(stream) == [0, 0, 25, 50, 75, 99, 100]
    assert stream[3].snapshot["message"] == "Step 2 of 4"


async def test_scraping_stages(api: Api) -> None:
    """The scraping work tells its stages, its details and its result."""
    stream = await api.watch((await api.start(work="scraping", seconds=0.5, steps=3))["task_id"])
    told = [event.snapshot for event in stream if event.snapshot["status"] == "PROGRESS"]
    told = [each for each in told if not each["message"].startswith("Pages: ")]  # mostly overtaken
    assert [each["message"] for each in told] == [
        "Login",
        "Scraping page 1 of 3",
        "Scraping page 2 of 3",
        "Scraping page 3 of 3",
        "Analyzing",
    ]
    pages = {"label": "Pages", "total": 3, "unit": "pages"}
    assert [each["steps"] for each in told] == [
        [],
        *([pages | {"done": done}] for done in range(3)),
        [],
    ]
    assert (told[2]["data"]["page"], told[2]["progress"]) == (2, 33)
    assert stream[-1].snapshot["data"] == {"pages": 3, "quotes": 30}


@pytest.mark.parametrize("work", ["simulated", "scraping"])
async def test_failure(api: Api, work: str) -> None:
    """A failure says in words what went wrong, stays where it was, below 100, and ends the stream."""
    task = await api.start(work=work, seconds=0.2, steps=10, fail_at=50)
    last = (await api.watch(task["task_id"]))[-1].snapshot
    assert (last["status"], last["message"]) == ("FAILURE", "Failed on purpose at 50 %")
    assert 50 <= last["progress"] < 100
    assert "Traceback" not in json.dumps(last)
    task = await api.start(work=work, seconds=0, steps=3, fail_at=100)
    stream = await api.watch(task["task_id"])
    assert stream[-1].snapshot["status"] == "FAILURE"
    assert max(progress(stream)) <= 99


async def test_resume_after_every_event(api: Api) -> None:
    """A viewer that comes back gets exactly what it has missed."""
    task_id = (await api.start(seconds=0, steps=10))["task_id"]
    whole = await api.watch(task_id)
    for event_id in range(1, len(whole)):
        missed = await api.watch(task_id, event_id)
        assert ids(missed) == list(range(event_id + 1, len(whole) + 1))
        assert [event.snapshot for event in missed] == [event.snapshot for event in whole[event_id:]]
        assert missed[0]["retry"]


async def test_nothing_more(api: Api) -> None:
    """A viewer that has seen the last event is told to stay away: 204 ends an EventSource for good.

    Cancelling leaves an ended task as it is.
    """
    task_id = (await api.start(seconds=0))["task_id"]
    last = (await api.watch(task_id))[-1]
    for path in (f"/task-progress/{task_id}", f"/tasks/{task_id}/stream"):
        async with api.open(path, last.id) as response:
            assert response.status == 204
            assert await response.read() == b""
    assert await api.cancel(task_id) == last.snapshot


async def test_the_same_under_its_own_address(api: Api) -> None:
    """Stream, status and cancel are there under the task's own address as well.

    And a Last-Event-ID that will only be given out later counts as none.
    """
    task_id = (await api.start(**LONG_TASK))["task_id"]
    async with api.open(f"/tasks/{task_id}/stream", 500) as response:
        stream = events(response)
        assert (await anext(stream)).id == 1
        cancelled = await api.json("POST", f"/tasks/{task_id}/cancel")
        assert cancelled["task_id"] == task_id
        last = [event.snapshot async for event in stream][-1]
    assert last["status"] == "REVOKED"
    assert last == await api.json("GET", f"/tasks/{task_id}") == await api.status(task_id)
    assert last == (await api.watch(task_id))[-1].snapshot


async def test_every_viewer_sees_the_same(api: Api) -> None:
    """Fifty viewers that join at any moment, half of which are cut and resume: one picture, one run."""
    draw = random.Random(7)
    task_id = (await api.start(seconds=2, steps=100))["task_id"]

    async def viewer(number: int) -> list[Event]:
        await asyncio.sleep(draw.uniform(0, 2.5))
        seen: list[Event] = []
        if number % 2:
            async with api.open(f"/task-progress/{task_id}") as response:
                cut_after = draw.randint(1, 60)
                async for event in events(response):
                    seen.append(event)
                    if len(seen) == cut_after:
                        break
        return seen + await api.watch(task_id, seen[-1].id if seen else None)

    pictures = await asyncio.gather(*(viewer(number) for number in range(50)))
    snapshots = [[event.snapshot for event in picture] for picture in pictures]
    assert all(ids(picture) == list(range(1, 104)) for picture in pictures)
    assert all(each == snapshots[0] for each in snapshots)


# Many tasks in one stream


async def test_overview(api: Api) -> None:
    """One stream for many tasks: the latest of each, what is unknown, and an end with an id."""
    done = await api.start(name="done", seconds=0)
    await api.watch(done["task_id"])
    running = await api.start(name="running", seconds=0.3, steps=3)
    stream = await api.overview(done["task_id"], NO_TASK, running["task_id"], done["task_id"])

    assert stream[0]["retry"]
    assert [event["retry"] for event in stream[1:]] == [None] * (len(stream) - 1)
    (unknown,) = [event.snapshot for event in stream if event["event"] == "unknown"]
    assert unknown.keys() == {"task_id", "detail"}
    assert unknown["task_id"] == NO_TASK
    assert unknown["detail"].startswith(f"Task '{NO_TASK}' not found: it ")
    shown = [event.snapshot for event in stream if event["event"] is None]
    assert [each["status"] for each in shown if each["name"] == "done"] == ["SUCCESS"]
    assert [each["status"] for each in shown if each["name"] == "running"][-1] == "SUCCESS"
    assert [event["id"] for event in stream] == [None] * (len(stream) - 1) + ["end"]
    async with api.open(f"/task-progress?task_id={done['task_id']}", "end") as response:
        assert response.status == 204


async def test_overview_by_body(api: Api) -> None:
    """A body has room for 1,000 ids; all else is as with the ids in the query."""
    running = await api.start(name="running", seconds=0.3, steps=3)
    ids = [f"{number:032x}" for number in range(999)]
    body = {"task_ids": [*ids, running["task_id"]]}
    async with api.session.post(api.url("/task-progress"), json=body) as response:
        stream = [event async for event in events(response)]
    assert [event.snapshot["task_id"] for event in stream if event["event"] == "unknown"] == ids
    assert stream[-1].snapshot["status"] == "SUCCESS"
    assert [event["id"] for event in stream] == [None] * (len(stream) - 1) + ["end"]
    headers = {"Last-Event-ID": "end"}
    async with api.session.post(api.url("/task-progress"), json=body, headers=headers) as response:
        assert response.status == 204


async def test_overview_of_nothing_known(api: Api) -> None:
    """Ids that nobody knows are named, and the stream ends."""
    hostile = 'x\n\ndata: {"task_id": "forged"}'
    stream = await api.overview(NO_TASK, quote(hostile))
    assert [event["event"] for event in stream] == ["unknown", "unknown"]
    assert [event.snapshot["task_id"] for event in stream] == [NO_TASK, hostile]
    assert [event["id"] for event in stream] == [None, "end"]


# Asking and cancelling


@pytest.mark.parametrize("work", ["simulated", "scraping"])
async def test_cancel(api: Api, work: str) -> None:
    """Cancelling answers REVOKED, which is the last that viewers see, and does no harm a second time."""
    task_id = (await api.start(work=work, **LONG_TASK))["task_id"]
    async with api.open(f"/task-progress/{task_id}") as response:
        stream = events(response)
        while (await anext(stream)).snapshot["status"] != "PROGRESS":
            pass
        answer = await api.cancel(task_id)
        rest = [event.snapshot async for event in stream]
    assert rest[-1]["status"] == "REVOKED"
    assert [each["status"] for each in rest[:-1]] == ["PROGRESS"] * (len(rest) - 1)
    assert answer["status"] in {"REVOKED", "PROGRESS"}
    assert await api.cancel(task_id) == await api.status(task_id) == rest[-1]


async def test_cancel_at_once(api: Api) -> None:
    """A task that is cancelled before it has begun has a first event and a last one."""
    task_id = (await api.start(**LONG_TASK))["task_id"]
    await api.cancel(task_id)
    stream = await api.watch(task_id)
    assert [stream[0].snapshot["status"], stream[-1].snapshot["status"]] == ["PENDING", "REVOKED"]


# The rest of the house


async def test_health(api: Api) -> None:
    """Health counts tasks, those that run, and streams."""
    before = await api.json("GET", "/health")
    assert list(before) == ["status", "backend", "tasks", "running", "streams"]
    assert before["status"] == "ok"
    task_id = (await api.start(**LONG_TASK))["task_id"]
    async with api.open(f"/task-progress/{task_id}") as response:
        await anext(events(response))
        during = await api.json("GET", "/health")
        assert during["tasks"] >= 1
        assert during["running"] >= 1
    await api.cancel(task_id)
