"""What stays closed: tasks of other people, caches, and the API to pages that were not invited."""

import aiohttp
import pytest

from tests.support.api import Api
from tests.support.programs import Server

PAGE = {"Origin": "https://example.org", "Cookie": "session=1"}
"""What the browser sends for a page of another origin."""
NO_TASK = "0" * 32
IDS = "&".join(["task_id=x"] * 101)
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
    ("POST", "/task-progress", b"{}", {}, 422),
    ("POST", "/task-progress", b'{"task_ids": ["x"]}', {}, 200),
    ("GET", "/tasks/{ended}", None, {}, 200),
    ("POST", "/tasks/{ended}/cancel", None, {}, 200),
    ("GET", "/tasks/{ended}/stream", None, {}, 200),
    ("GET", "/tasks/{ended}/stream", None, {"Last-Event-ID": "4"}, 204),
    ("HEAD", "/tasks/{ended}/stream", None, {}, 405),  # it must not wait for the end of a stream
    ("POST", "/tasks/{ended}/stream", None, {}, 405),
    ("HEAD", "/task-progress/{ended}", None, {}, 405),
    ("PUT", "/task-progress/{ended}", None, {}, 405),
    ("GET", "/works", None, {}, 200),
    ("GET", "/health", None, {}, 200),
    ("GET", "/metrics", None, {}, 200),
]


def allowed(response: aiohttp.ClientResponse) -> dict[str, str]:
    """What an answer allows a page of another origin."""
    prefix = "access-control-"
    headers = {name.lower(): value for name, value in response.headers.items()}
    return {name.removeprefix(prefix): headers[name] for name in headers if name.startswith(prefix)}


def caching(response: aiohttp.ClientResponse) -> str:
    """What caches are told: nothing is kept; and of a stream, that compressing it would hold it back."""
    return "no-store, no-transform" if response.content_type == "text/event-stream" else "no-store"


async def test_no_route_lists_tasks(api: Api) -> None:
    """Nothing that can be asked for without knowing an id tells one."""
    task_id = (await api.start(seconds=0, name="secret"))["task_id"]
    document = await api.json("GET", "/openapi.json")
    asked = [path for path, methods in document["paths"].items() if "get" in methods and "{" not in path]
    asked += ["/", "/docs", "/openapi.json", "/task-progress?task_id=", "/task-status/", "/static/page.js"]
    asked += ["/tasks", "/tasks/", f"/tasks/{task_id[:31]}", "/tasks/*"]
    asked += [
        f"/task-status/{task_id[:31]}",
        f"/task-status/{task_id.upper()}x",
        "/task-progress?task_id=*",
    ]
    assert "/health" in asked
    for path in asked:
        async with api.session.get(api.url(path)) as response:
            text = await response.text() + str(response.headers)
        assert task_id not in text
        assert "secret" not in text
    for path in ("/start-task", "/cancel-task/*", "/tasks"):
        async with api.session.post(api.url(path), json={"seconds": 0}) as response:
            assert task_id not in await response.text()


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"), REQUESTS, ids=lambda value: str(value)[:30]
)
async def test_every_answer(
    api: Api, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int
) -> None:
    """By default any page may ask, but never in the name of its visitor; and no cache keeps an answer."""
    if "{ended}" in path:
        ended = (await api.start(seconds=0, steps=1, fail_at=0))["task_id"]
        assert len(await api.watch(ended)) == 4
        path = path.format(ended=ended)
    url = api.url(path)
    async with api.session.request(method, url, data=body, headers={**PAGE, **headers}) as response:
        assert response.status == status
        assert response.headers.getall("Cache-Control") == [caching(response)]
        assert allowed(response) == {"allow-origin": "*", "expose-headers": "Location, Retry-After"}


@pytest.mark.parametrize(("method", "status"), [("POST", 200), ("DELETE", 400)])
async def test_preflight(api: Api, method: str, status: int) -> None:
    """A page may send JSON and Last-Event-ID, by GET and POST only, and no credentials."""
    asked = {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type, last-event-id",
    }
    async with api.session.options(api.url("/start-task"), headers={**PAGE, **asked}) as response:
        assert response.status == status
        told = allowed(response)
    assert (told["allow-origin"], told["allow-methods"]) == ("*", "GET, POST")
    assert told["allow-headers"] == "content-type, last-event-id"
    assert "allow-credentials" not in told


@pytest.mark.parametrize("origins", ["https://a.example, https://b.example", ""])
async def test_origins_that_were_not_invited(session: aiohttp.ClientSession, origins: str) -> None:
    """With origins of one's own, other pages are allowed nothing, whatever the answer."""
    preflight = ("OPTIONS", "/start-task", None, {"Access-Control-Request-Method": "POST"}, 400)
    with Server("--cors-origins", origins) as server:
        for method, path, body, headers, status in [*REQUESTS, preflight]:
            if "{ended}" in path:
                continue
            async with session.request(
                method, server.url + path, data=body, headers={**PAGE, **headers}
            ) as response:
                assert response.status == status
                assert not {"allow-origin", "allow-credentials"} & allowed(response).keys()
