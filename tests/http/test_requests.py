"""What requests may say, byte by byte: bodies, ids, names. No back end touches it: memory will do."""

import json
import mimetypes
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from yarl import URL

from taskstream import TaskStream
from taskstream.errors import MAX_ERRORS
from tests.support.api import Api

BAD_BODIES: list[tuple[bytes, str | None]] = [
    (b"{", None),
    (b"\xff\xfe", None),
    (b"null", None),
    (b"[]", None),
    (b"[" * 60_000, None),
    (b'{"steps": ' + b"9" * 5000 + b"}", None),
    (rb'{"name": "\ud800"}', None),
    (b'{"work": "unheard of"}', "work"),
    (b'{"work": null}', "work"),
    (b'{"name": 5}', "name"),
    (b'{"name": NaN}', "name"),
    (b'{"name": "' + b"x" * 101 + b'"}', "name"),
    (b'{"seconds": "1"}', "seconds"),
    (b'{"seconds": true}', "seconds"),
    (b'{"seconds": null}', "seconds"),
    (b'{"seconds": NaN}', "seconds"),
    (b'{"seconds": 1e400}', "seconds"),
    (b'{"seconds": -1}', "seconds"),
    (b'{"seconds": 3601}', "seconds"),
    (b'{"steps": 0}', "steps"),
    (b'{"steps": 1001}', "steps"),
    (b'{"steps": 1.5}', "steps"),
    (b'{"steps": 1' + b"0" * 400 + b"}", "steps"),
    (b'{"fail_at": 101}', "fail_at"),
    (b'{"surprise": NaN}', "surprise"),
    (b'{"work": "scraping", "steps": 0}', "steps"),
    (b'{"task_id": "mine"}', "task_id"),
]
NEVER_GIVEN_OUT = ["-1", "0", "00", "01", "1.5", "abc", "9" * 31, "1" * 5000, "١", "🧀", "1 2", "end"]
NO_IDS = ["0" * 32, "x", "x" * 5000, "%00", "%0A", "%F0%9F%A7%80", "%ED%A0%80", "..%2f"]
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


@pytest.mark.parametrize("body", [None, b"", b"{}", b' {"name": null, "fail_at": null} ', b'{"name": ""}'])
async def test_start_needs_no_body(api: Api, body: bytes | None) -> None:
    """What is left out has its default."""
    snapshot = await api.json("POST", "/start-task", data=body)
    assert snapshot["name"] == "simulated"
    await api.cancel(snapshot["task_id"])


@pytest.mark.parametrize(("body", "field"), BAD_BODIES, ids=lambda value: str(value)[:40])
async def test_bad_body(api: Api, body: bytes, field: str | None) -> None:
    """An invalid body gets a 422 that names the field, and starts nothing."""
    before = (await api.json("GET", "/health"))["tasks"]
    answer = await api.json("POST", "/start-task", 422, data=body)
    assert list(answer) == ["detail"]
    assert all(error.keys() == {"type", "loc", "msg"} for error in answer["detail"])  # not what stood there
    if field:
        assert [error["loc"] for error in answer["detail"]] == [["body", field]]
    assert (await api.json("GET", "/health"))["tasks"] <= before


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400"])
def test_what_is_no_json_inside_of_anything(number: str) -> None:
    """A number that JSON hasn't is refused, too, where a parameter's type says nothing of numbers."""
    tasks = TaskStream()

    @tasks.work
    async def count(*, words: dict[str, Any]) -> int:
        return len(words)

    application = FastAPI()
    application.include_router(tasks.router)
    with TestClient(application) as client:
        answer = client.post("/start-task", content=f'{{"words": {{"deep": [{number}]}}}}')
        assert answer.status_code == 422
        assert [error["loc"] for error in answer.json()["detail"]] == [["body", "words"]]
        assert client.post("/start-task", json={"words": {"deep": [1e300]}}).status_code == 200


async def test_many_mistakes_are_told_briefly(api: Api) -> None:
    """A large body that is nothing but mistakes is answered with a short list, by short names."""
    many = {f"{number:x}": 1 for number in range(5000)}
    told = (await api.json("POST", "/start-task", 422, json=many))["detail"]
    assert len(told) == MAX_ERRORS + 1
    assert told[-1] == {"type": "too_many", "loc": ["body"], "msg": f"… and {5000 - MAX_ERRORS} more"}
    assert len(json.dumps(await api.json("POST", "/start-task", 422, json={"x" * 60_000: 1}))) < 1000


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
        assert size > 1024 * 1024  # a client that goes on sending may be cut off
    assert (await api.json("GET", "/health"))["status"] == "ok"


async def test_largest_body(api: Api) -> None:
    """A body of 64 KiB is still accepted."""
    body = json.dumps({"seconds": 0}).encode()
    await api.json("POST", "/start-task", data=body + b" " * (64 * 1024 - len(body)))


@pytest.mark.parametrize("sent", NEVER_GIVEN_OUT)
async def test_last_event_id_that_was_never_given_out(api: Api, sent: str) -> None:
    """Such an id counts as none: the viewer sees everything."""
    task_id = (await api.start(seconds=0, steps=2))["task_id"]
    assert [event.id for event in await api.watch(task_id, sent)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        (b"", 422, []),
        (b"[]", 422, []),
        (b"{}", 422, ["task_ids"]),
        (b'{"task_ids": []}', 422, ["task_ids"]),
        (b'{"task_ids": "x"}', 422, ["task_ids"]),
        (b'{"task_ids": [1]}', 422, ["task_ids", 0]),
        (b'{"task_ids": ["\\ud800"]}', 422, []),
        (b'{"task_ids": ["x"], "task_id": "x"}', 422, ["task_id"]),
        (json.dumps({"task_ids": ["x"] * 1001}).encode(), 422, ["task_ids"]),
        (b" " * 70_000, 413, None),
    ],
    ids=range(10),
)
async def test_overview_of_a_bad_body(api: Api, body: bytes, status: int, where: list[str] | None) -> None:
    """A body of ids is as strict, and as bounded, as one that starts a task."""
    answer = await api.json("POST", "/task-progress", status, data=body)
    if where is not None:
        assert answer["detail"][0]["loc"] == ["body", *where]


@pytest.mark.parametrize("task_id", NO_IDS)
async def test_unknown_task(api: Api, task_id: str) -> None:
    """A task that nobody knows gets a 404 in words, at once, and no stream."""
    for method, path in (
        ("GET", "/task-progress/{}"),
        ("GET", "/tasks/{}/stream"),
        ("GET", "/task-status/{}"),
        ("GET", "/tasks/{}"),
        ("POST", "/cancel-task/{}"),
        ("POST", "/tasks/{}/cancel"),
    ):
        url = URL(api.url(path.format(task_id)), encoded=True)
        async with api.session.request(method, url) as response:
            assert (path, response.status) == (path, 404)
            assert response.headers.get("Cache-Control") == "no-store" or "%2f" in task_id
            assert "not found" in (await response.json())["detail"].lower()


@pytest.mark.parametrize(
    "path", ["/task-progress/", "/tasks/", "/tasks//stream", "/task-status/", "/nothing"]
)
async def test_no_such_path(api: Api, path: str) -> None:
    """An empty id is no id."""
    await api.json("GET", path, 404)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_hostile_name(api: Api, name: str) -> None:
    """A name arrives as it was sent; it can neither forge events nor break the JSON."""
    task = await api.start(name=name, seconds=0, steps=2)
    stream = await api.watch(task["task_id"])
    assert [event.id for event in stream] == [1, 2, 3, 4, 5]
    assert {event.snapshot["name"] for event in stream} == {name}
    assert [field for field, _ in stream[0].fields] == ["id", "retry", "data"]
    assert [field for field, _ in stream[1].fields] == ["id", "data"]
    overview = await api.overview(task["task_id"])
    assert [event.snapshot["name"] for event in overview] == [name]


async def test_lines_end_where_they_end(api: Api) -> None:
    """Nothing that `str.splitlines` (httpx, requests) takes for the end of a line is in a stream."""
    name = "".join(chr(code) for code in range(0x3000) if len(f"a{chr(code)}b".splitlines()) > 1)
    assert "\u2028" in name
    task = await api.start(name=name, seconds=0, steps=2)
    one, many = f"/task-progress/{task['task_id']}", "/task-progress"
    for path, params in ((one, {}), (many, {"task_id": task["task_id"]}), (many, {"task_id": name})):
        async with api.session.get(api.url(path), params=params) as response:
            text = await response.text()
        assert text.splitlines() == text.split("\n")[:-1]
    assert (await api.status(task["task_id"]))["name"] == name


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


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/works", "/health", "/metrics", "/tasks/{}"])
async def test_head(api: Api, path: str) -> None:
    """HEAD is answered as GET is, without the body (RFC 9110, section 9.3.2); so is what isn't there."""
    async with api.session.head(api.url("/task-status/x")) as response:
        assert response.status == 404
    path = path.format((await api.start(seconds=0))["task_id"])
    answers = []
    for method in ("GET", "HEAD"):
        async with api.session.request(method, api.url(path)) as response:
            assert response.status == 200
            answers.append(response.headers)
            assert bool(await response.read()) == (method == "GET")
    assert answers[0]["Content-Type"] == answers[1]["Content-Type"]
    assert answers[0]["Cache-Control"] == answers[1]["Cache-Control"]


@pytest.mark.parametrize(
    ("coding", "status"), [("gzip", 415), ("br", 415), ("x" * 9000, 415), ("Identity", 200)]
)
async def test_encoded_body(api: Api, coding: str, status: int) -> None:
    """A body that is encoded is refused in words, which name the coding and what to do."""
    headers = {"Content-Encoding": coding}
    async with api.session.post(
        api.url("/start-task"), data=b'{"seconds": 0}', headers=headers
    ) as response:
        assert response.status == status
        if status == 415:
            assert response.headers["Accept-Encoding"] == "identity"
            detail = (await response.json())["detail"]
            assert repr(coding[:40]) in detail
            assert "without Content-Encoding" in detail


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("static/task-progress.js", "text/javascript; charset=utf-8"),
        ("static/source/stream.js", "text/javascript; charset=utf-8"),
        ("static/page.css", "text/css; charset=utf-8"),
        ("", "text/html; charset=utf-8"),
    ],
)
def test_types_of_files(monkeypatch: pytest.MonkeyPatch, path: str, kind: str) -> None:
    """Whatever the system's table says: Windows' often has text/plain, with which a page stays blank.

    The page may only run and load what comes from here, and is never an old one.
    """
    for extension in (".js", ".css", ".html"):
        monkeypatch.setitem(mimetypes.types_map, extension, "text/plain")
    application = FastAPI()
    application.include_router(TaskStream().router)
    with TestClient(application) as client:
        response = client.get(f"/{path}")
        assert response.headers["Content-Type"] == kind
        assert response.headers["Cache-Control"] == "no-cache"
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert not any(word in policy for word in ("unsafe", "*"))
        again = client.get(f"/{path}", headers={"If-None-Match": response.headers["ETag"]})
        assert again.status_code in (200, 304)
