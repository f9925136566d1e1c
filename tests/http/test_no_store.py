"""No answer of the API may be kept by a cache: it would outlive the reason for it."""

from collections.abc import Iterator

import aiohttp
import pytest

from tests.support.api import LONG_TASK, Api, events
from tests.support.programs import Server

NO_TASK = "0" * 32
IDS = "&".join(["task_id=x"] * 101)


@pytest.fixture(scope="module")
def small() -> Iterator[Server]:
    """A server with little room."""
    with Server("--max-tasks", "2", "--max-streams", "1") as server:
        yield server


REQUESTS: list[tuple[str, str, bytes | None, dict[str, str], int]] = [
    ("POST", "/start-task", b'{"seconds": 0}', {}, 200),
    ("POST", "/start-task", b"{", {}, 422),
    ("POST", "/start-task", None, {"Idempotency-Key": '"'}, 422),
    ("POST", "/start-task", b" " * 70_000, {}, 413),
    ("GET", "/start-task", None, {}, 405),
    ("GET", f"/task-status/{NO_TASK}", None, {}, 404),
    ("GET", f"/tasks/{NO_TASK}", None, {}, 404),
    ("DELETE", f"/tasks/{NO_TASK}", None, {}, 405),
    ("GET", f"/tasks/{NO_TASK}/stream", None, {}, 404),
    ("GET", f"/task-progress/{NO_TASK}", None, {}, 404),
    ("POST", f"/cancel-task/{NO_TASK}", None, {}, 404),
    ("POST", f"/tasks/{NO_TASK}/cancel", None, {}, 404),
    ("GET", "/task-progress", None, {}, 422),
    ("GET", f"/task-progress?{IDS}", None, {}, 422),
    ("GET", f"/task-progress?task_id={NO_TASK}", None, {}, 200),
    ("GET", f"/task-progress?task_id={NO_TASK}", None, {"Last-Event-ID": "end"}, 204),
    ("GET", "/works", None, {}, 200),
    ("GET", "/health", None, {}, 200),
    ("GET", "/metrics", None, {}, 200),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"), REQUESTS, ids=lambda value: str(value)[:30]
)
async def test_no_store(
    api: Api, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int
) -> None:
    """Every answer says so, whatever its status."""
    async with api.session.request(method, api.url(path), data=body, headers=headers) as response:
        assert response.status == status
        assert response.headers.getall("Cache-Control") == ["no-store"]


async def test_of_a_task(api: Api) -> None:
    """So do the answers about a task that is known, and the 204 that ends its streams."""
    task_id = (await api.start(seconds=0))["task_id"]
    last = (await api.watch(task_id))[-1].id
    for method, path, last_event_id, status in (
        ("GET", f"/tasks/{task_id}", None, 200),
        ("POST", f"/tasks/{task_id}/cancel", None, 200),
        ("GET", f"/tasks/{task_id}/stream", None, 200),
        ("GET", f"/tasks/{task_id}/stream", last, 204),
    ):
        headers = {"Last-Event-ID": str(last_event_id)} if last_event_id else {}
        async with api.session.request(method, api.url(path), headers=headers) as response:
            assert response.status == status
            assert response.headers.getall("Cache-Control") == ["no-store"]


async def test_without_room(small: Server, session: aiohttp.ClientSession) -> None:
    """So do the refusals for want of room."""
    api = Api(session, [small.url])
    tasks = [(await api.start(**LONG_TASK))["task_id"] for _ in range(2)]
    async with api.open(f"/tasks/{tasks[0]}/stream") as stream:
        await anext(events(stream))
        for method, path in (
            ("POST", "/start-task"),
            ("GET", f"/tasks/{tasks[1]}/stream"),
            ("GET", f"/task-progress?task_id={tasks[1]}"),
        ):
            async with session.request(method, api.url(path)) as response:
                assert response.status == 503
                assert response.headers.getall("Cache-Control") == ["no-store"]
                assert response.headers["Retry-After"] == "5"
