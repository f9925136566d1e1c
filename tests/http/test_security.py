"""What stays closed: tasks of other people, and the API to pages that were not invited."""

import aiohttp
import pytest

from tests.support.api import Api
from tests.support.programs import Server

ORIGIN = "https://example.org"


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


async def answer(api: Api, method: str, path: str, **headers: str) -> tuple[int, dict[str, str]]:
    """The status of an answer to another origin's page, and what it allows that page."""
    headers = {"Origin": ORIGIN, "Cookie": "session=1", **headers}
    async with api.session.request(method, api.url(path), headers=headers) as response:
        prefix = "access-control-"
        allowed = {
            name.lower().removeprefix(prefix): value
            for name, value in response.headers.items()
            if name.lower().startswith(prefix)
        }
        return response.status, allowed


REQUESTS = [
    ("POST", "/start-task", 200),
    ("GET", "/task-progress/unknown", 404),
    ("GET", "/task-progress", 422),
    ("GET", "/task-progress?task_id=unknown", 200),
    ("GET", "/task-status/unknown", 404),
    ("GET", "/tasks/unknown", 404),
    ("GET", "/tasks/unknown/stream", 404),
    ("POST", "/cancel-task/unknown", 404),
    ("POST", "/tasks/unknown/cancel", 404),
    ("GET", "/works", 200),
    ("GET", "/health", 200),
]


@pytest.mark.parametrize(("method", "path", "status"), REQUESTS)
async def test_any_origin_without_credentials(api: Api, method: str, path: str, status: int) -> None:
    """By default any page may ask, but never in the name of its visitor."""
    assert await answer(api, method, path) == (
        status,
        {"allow-origin": "*", "expose-headers": "Location, Retry-After"},
    )


async def test_preflight(api: Api) -> None:
    """A page may send JSON and Last-Event-ID, by GET and POST only, and no credentials."""
    asked = {"Access-Control-Request-Headers": "content-type, last-event-id"}
    code, allowed = await answer(
        api, "OPTIONS", "/start-task", **{"Access-Control-Request-Method": "POST"}, **asked
    )
    assert code == 200
    assert allowed["allow-origin"] == "*"
    assert allowed["allow-methods"] == "GET, POST"
    assert allowed["allow-headers"] == "content-type, last-event-id"
    assert "allow-credentials" not in allowed
    code, _ = await answer(api, "OPTIONS", "/start-task", **{"Access-Control-Request-Method": "DELETE"})
    assert code == 400


@pytest.mark.parametrize("origins", ["https://a.example, https://b.example", ""])
async def test_origins_that_were_not_invited(session: aiohttp.ClientSession, origins: str) -> None:
    """With origins of one's own, other pages are allowed nothing, whatever the answer."""
    with Server("--cors-origins", origins) as server:
        api = Api(session, [server.url])
        for method, path, status in REQUESTS:
            code, allowed = await answer(api, method, path)
            assert (code, allowed.get("allow-origin"), allowed.get("allow-credentials")) == (
                status,
                None,
                None,
            )
        code, allowed = await answer(
            api, "OPTIONS", "/start-task", **{"Access-Control-Request-Method": "POST"}
        )
        assert (code, allowed.get("allow-origin"), allowed.get("allow-credentials")) == (400, None, None)
