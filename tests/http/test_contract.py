"""The HTTP contract. It holds for whatever answers at CONTRACT_URLS: another back end, a proxy."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from datetime import datetime
from io import BytesIO
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from tests.support.api import LONG_TASK, SNAPSHOT_KEYS, Api, Event, Snapshot, events

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
        "data": None,
        "started_at": None,
    }


@pytest.mark.parametrize("body", [None, b"", b"{}", b' {"name": null, "fail_at": null} ', b'{"name": ""}'])
async def test_start_needs_no_body(api: Api, body: bytes | None) -> None:
    """What is left out has its default."""
    snapshot = await api.json("POST", "/start-task", data=body)
    assert snapshot["name"] == "simulated"
    await api.cancel(snapshot["task_id"])


BAD_BODIES: list[tuple[bytes, str | None]] = [
    (b"{", None),
    (b"nonsense", None),
    (b"\xff\xfe", None),
    (b"null", None),
    (b"[]", None),
    (b'"simulated"', None),
    (b"[" * 60_000, None),
    (b'{"steps": ' + b"9" * 5000 + b"}", None),
    (rb'{"name": "\ud800"}', None),
    (b'{"work": "unheard of"}', "work"),
    (b'{"work": null}', "work"),
    (b'{"work": ["simulated"]}', "work"),
    (b'{"name": 5}', "name"),
    (b'{"name": NaN}', "name"),
    (b'{"name": "' + b"x" * 101 + b'"}', "name"),
    (b'{"seconds": "1"}', "seconds"),
    (b'{"seconds": true}', "seconds"),
    (b'{"seconds": null}', "seconds"),
    (b'{"seconds": NaN}', "seconds"),
    (b'{"seconds": Infinity}', "seconds"),
    (b'{"seconds": -Infinity}', "seconds"),
    (b'{"seconds": 1e400}', "seconds"),
    (b'{"seconds": -1}', "seconds"),
    (b'{"seconds": 3601}', "seconds"),
    (b'{"steps": 0}', "steps"),
    (b'{"steps": 1001}', "steps"),
    (b'{"steps": 1.5}', "steps"),
    (b'{"steps": "20"}', "steps"),
    (b'{"steps": false}', "steps"),
    (b'{"steps": 1' + b"0" * 400 + b"}", "steps"),
    (b'{"fail_at": 101}', "fail_at"),
    (b'{"fail_at": -1}', "fail_at"),
    (b'{"fail_at": "half"}', "fail_at"),
    (b'{"surprise": 1}', "surprise"),
    (b'{"surprise": NaN}', "surprise"),
    (b'{"work": "scraping", "steps": 0}', "steps"),
    (b'{"task_id": "mine"}', "task_id"),
]


@pytest.mark.parametrize(("body", "field"), BAD_BODIES, ids=lambda value: str(value)[:40])
async def test_bad_body(api: Api, body: bytes, field: str | None) -> None:
    """Whatever can't be meant gets a 422 that names the field, and starts nothing."""
    before = (await api.json("GET", "/health"))["tasks"]
    answer = await api.json("POST", "/start-task", 422, data=body)
    assert list(answer) == ["detail"]
    assert all(error["msg"] for error in answer["detail"])
    if field:
        assert [error["loc"] for error in answer["detail"]] == [["body", field]]
    assert (await api.json("GET", "/health"))["tasks"] <= before


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [64 * 1024 + 1, 10 * 1024 * 1024])
async def test_body_too_large(api: Api, size: int, chunked: bool) -> None:
    """A body over 64 KiB gets a 413, whether it says its length or not."""

    async def body() -> AsyncIterator[bytes]:
        yield b'{"name": "'
        for _ in range(size // 1024):
            yield b"x" * 1024
        yield b'"}'

    data = body() if chunked else BytesIO(b" " * size)
    try:
        async with api.session.post(api.url("/start-task"), data=data) as response:
            assert response.status == 413
            assert "64 KiB" in (await response.json())["detail"]
    except aiohttp.ClientConnectionError:
        assert size > 1024 * 1024  # a proxy may cut a client off that goes on sending
    assert (await api.json("GET", "/health"))["status"] == "ok"


async def test_largest_body(api: Api) -> None:
    """A body of 64 KiB is still accepted."""
    body = json.dumps({"seconds": 0}).encode()
    await api.json("POST", "/start-task", data=body + b" " * (64 * 1024 - len(body)))


# Watching


@pytest.mark.parametrize("work", ["simulated", "scraping"])
async def test_stream(api: Api, work: str) -> None:
    """A stream tells a task's whole story in numbered snapshots, each of them complete, and ends."""
    task = await api.start(work=work, name="story", seconds=0.3, steps=7)
    async with api.open(f"/task-progress/{task['task_id']}") as response:
        assert response.headers["Content-Type"].partition(";")[0] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
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
    stages = [event.snapshot["message"] for event in stream if event.snapshot["status"] == "PROGRESS"]
    assert stages == [
        "Login",
        "Scraping page 1 of 3",
        "Scraping page 2 of 3",
        "Scraping page 3 of 3",
        "Analyzing",
    ]
    assert stream[3].snapshot["data"]["page"] == 1
    assert stream[-1].snapshot["data"] == {"pages": 3, "quotes": 30}


@pytest.mark.parametrize("work", ["simulated", "scraping"])
async def test_failure(api: Api, work: str) -> None:
    """A failure says in words what went wrong, stays where it was, and ends the stream."""
    task = await api.start(work=work, seconds=0.2, steps=10, fail_at=50)
    last = (await api.watch(task["task_id"]))[-1].snapshot
    assert (last["status"], last["message"]) == ("FAILURE", "Failed on purpose at 50 %")
    assert 50 <= last["progress"] < 100
    assert "Traceback" not in json.dumps(last)


async def test_failure_at_the_very_end(api: Api) -> None:
    """A task that fails at its last step has never been at 100 percent."""
    task = await api.start(seconds=0, steps=3, fail_at=100)
    stream = await api.watch(task["task_id"])
    assert max(progress(stream)) == 99
    assert stream[-1].snapshot["status"] == "FAILURE"


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
    """A viewer that has seen the last event is told to stay away: 204 ends an EventSource for good."""
    task_id = (await api.start(seconds=0))["task_id"]
    last = (await api.watch(task_id))[-1]
    for path in (f"/task-progress/{task_id}", f"/tasks/{task_id}/stream"):
        async with api.open(path, last.id) as response:
            assert response.status == 204
            assert await response.read() == b""


@pytest.mark.parametrize(
    "sent", ["-1", "0", "00", "01", "1.5", "abc", "9" * 31, "1" * 5000, "١", "🧀", "1 2", "end"]
)
async def test_last_event_id_that_was_never_given_out(api: Api, sent: str) -> None:
    """Such an id counts as none: the viewer sees everything."""
    task_id = (await api.start(seconds=0, steps=2))["task_id"]
    whole = await api.watch(task_id)
    assert ids(await api.watch(task_id, sent)) == ids(whole)


async def test_last_event_id_of_the_future(api: Api) -> None:
    """An id that will only be given out later counts as none."""
    task_id = (await api.start(**LONG_TASK))["task_id"]
    async with api.open(f"/task-progress/{task_id}", 500) as response:
        assert (await anext(events(response))).id == 1
    await api.cancel(task_id)


async def test_the_same_under_its_own_address(api: Api) -> None:
    """Stream, status and cancel are there under the task's own address as well."""
    task_id = (await api.start(**LONG_TASK))["task_id"]
    async with api.open(f"/tasks/{task_id}/stream") as response:
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


async def test_a_viewer_that_leaves_stops_nothing(api: Api) -> None:
    """A task goes on without any viewer."""
    task_id = (await api.start(seconds=0.3, steps=3))["task_id"]
    async with api.open(f"/task-progress/{task_id}") as response:
        await anext(events(response))
    assert (await api.watch(task_id))[-1].snapshot["status"] == "SUCCESS"


# Many tasks in one stream


async def test_overview(api: Api) -> None:
    """One stream for many tasks: the latest of each, what is unknown, and an end with an id."""
    done = await api.start(name="done", seconds=0)
    await api.watch(done["task_id"])
    running = await api.start(name="running", seconds=0.3, steps=3)
    stream = await api.overview(done["task_id"], NO_TASK, running["task_id"], done["task_id"])

    assert stream[0]["retry"]
    assert [event["retry"] for event in stream[1:]] == [None] * (len(stream) - 1)
    assert [event.snapshot for event in stream if event["event"] == "unknown"] == [{"task_id": NO_TASK}]
    shown = [event.snapshot for event in stream if event["event"] is None]
    assert [each["status"] for each in shown if each["name"] == "done"] == ["SUCCESS"]
    assert [each["status"] for each in shown if each["name"] == "running"][-1] == "SUCCESS"
    assert [event["id"] for event in stream] == [None] * (len(stream) - 1) + ["end"]
    async with api.open(f"/task-progress?task_id={done['task_id']}", "end") as response:
        assert response.status == 204


async def test_overview_of_nothing_known(api: Api) -> None:
    """Ids that nobody knows are named, and the stream ends."""
    hostile = 'x\n\ndata: {"task_id": "forged"}'
    stream = await api.overview(NO_TASK, quote(hostile))
    assert [event["event"] for event in stream] == ["unknown", "unknown"]
    assert [event.snapshot["task_id"] for event in stream] == [NO_TASK, hostile]
    assert [event["id"] for event in stream] == [None, "end"]


@pytest.mark.parametrize("count", [0, 101])
async def test_overview_bounds(api: Api, count: int) -> None:
    """None is too few, and more than a hundred too many."""
    query = "&".join(f"task_id={number:032x}" for number in range(count))
    answer = await api.json("GET", f"/task-progress?{query}", 422)
    assert answer["detail"][0]["loc"] == ["query", "task_id"]


# Asking and cancelling


@pytest.mark.parametrize(
    "task_id", [NO_TASK, "x", "x" * 5000, "%00", "%0A", "%F0%9F%A7%80", "%ED%A0%80", "..%2f"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/task-progress/{}"),
        ("GET", "/tasks/{}/stream"),
        ("GET", "/task-status/{}"),
        ("GET", "/tasks/{}"),
        ("POST", "/cancel-task/{}"),
        ("POST", "/tasks/{}/cancel"),
    ],
)
async def test_unknown_task(api: Api, method: str, path: str, task_id: str) -> None:
    """A task that nobody knows gets a 404 in words, at once, and no stream."""
    url = URL(api.url(path.format(task_id)), encoded=True)
    async with api.session.request(method, url) as response:
        assert response.status == 404
        assert response.headers.get("Cache-Control") == "no-store" or "%2f" in task_id
        assert "not found" in (await response.json())["detail"].lower()


@pytest.mark.parametrize(
    "path", ["/task-progress/", "/tasks/", "/tasks//stream", "/task-status/", "/nothing"]
)
async def test_no_such_path(api: Api, path: str) -> None:
    """An empty id is no id."""
    await api.json("GET", path, 404)


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


async def test_cancel_what_has_ended(api: Api) -> None:
    """Cancelling leaves an ended task as it is."""
    task_id = (await api.start(seconds=0))["task_id"]
    last = (await api.watch(task_id))[-1].snapshot
    assert await api.cancel(task_id) == last


# Hostile text


NAMES = [
    "two\nlines\r\nand\rmore",
    "data: {}\n\nid: 99\nevent: forged\ndata: x",
    ": comment",
    "\u2028line\u2029paragraph\u0085next",
    "\u202eright to left",
    "<img src=x onerror=alert(1)>",
    '"quoted" \\ back',
    "\x00\x01\x1b[31m\x7f",
    "🧀" * 100,
    "\ufeffBOM",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_hostile_name(api: Api, name: str) -> None:
    """A name arrives as it was sent; it can neither forge events nor break the JSON."""
    task = await api.start(name=name, seconds=0, steps=2)
    stream = await api.watch(task["task_id"])
    assert ids(stream) == [1, 2, 3, 4, 5]
    assert {event.snapshot["name"] for event in stream} == {name}
    assert [field for field, _ in stream[0].fields] == ["id", "retry", "data"]
    assert [field for field, _ in stream[1].fields] == ["id", "data"]
    overview = await api.overview(task["task_id"])
    assert [event.snapshot["name"] for event in overview] == [name]


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


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
async def test_streams_are_only_for_get(api: Api, method: str) -> None:
    """Any other method is refused at once, and doesn't wait for the end of a stream."""
    task_id = (await api.start(**LONG_TASK))["task_id"]
    async with api.session.request(method, api.url(f"/task-progress/{task_id}")) as response:
        assert response.status == 405
    await api.cancel(task_id)


async def test_cors(api: Api) -> None:
    """Any page may use the API, but without the user's credentials."""
    headers = {"Origin": "https://example.org"}
    task_id = (await api.start(seconds=0))["task_id"]
    async with api.session.get(api.url(f"/task-progress/{task_id}"), headers=headers) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/static/page.css"])
async def test_page(api: Api, path: str) -> None:
    """The page may only run and load what comes from here, and is never an old one."""
    async with api.session.get(api.url(path)) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/")
        assert response.headers["Cache-Control"] == "no-cache"
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


async def test_openapi_tells_the_truth_about_streams(api: Api) -> None:
    """The interactive documentation knows what streams answer, and what starts a task."""
    document = await api.json("GET", "/openapi.json")
    for path in ("/task-progress/{task_id}", "/tasks/{task_id}/stream", "/task-progress"):
        answers = document["paths"][path]["get"]["responses"]
        assert list(answers["200"]["content"]) == ["text/event-stream"]
        assert {"204", "503"} <= answers.keys()
        assert ("404" in answers) == (path != "/task-progress")
    body = document["paths"]["/start-task"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert [list(model["properties"]) for model in body["oneOf"]] == [
        ["work", "name", "seconds", "steps", "fail_at"]
    ] * 2
    async with api.session.get(api.url("/docs")) as response:
        assert response.status == 200


async def test_works(api: Api) -> None:
    """What can be started, each with the schema of its parameters."""
    works = await api.json("GET", "/works")
    assert [(work["name"], work["kind"]) for work in works] == [
        ("simulated", "async"),
        ("scraping", "blocking"),
    ]
    for work in works:
        assert work["description"]
        assert list(work["parameters"]["properties"]) == ["seconds", "steps", "fail_at"]
        assert work["parameters"]["properties"]["seconds"] == {
            "title": "Seconds",
            "description": "how long it takes, in seconds",
            "type": "number",
            "minimum": 0,
            "maximum": 3600,
            "default": 5,
        }


async def test_many_at_once(api: Api) -> None:
    """Two hundred tasks at a time, each with a viewer, all come to their end."""

    async def run(number: int) -> Snapshot:
        task = await api.start(name=f"task {number}", seconds=0.5, steps=10)
        stream = await api.watch(task["task_id"])
        assert ids(stream) == list(range(1, 14))
        return stream[-1].snapshot

    ends = await asyncio.gather(*(run(number) for number in range(200)))
    assert [(end["name"], end["status"]) for end in ends] == [
        (f"task {number}", "SUCCESS") for number in range(200)
    ]
