"""Private tasks: their owner can do everything; for everybody else they don't exist."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import aiohttp
import pytest

from tests.support.examples import Example
from tests.support.programs import Server

EVIL = "https://evil.example"
FRONT_END = "https://app.example"
UNKNOWN = "0" * 32
ROUTES = [("GET", "/own/tasks/{}/stream"), ("POST", "/own/tasks/{}/cancel")]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Example("private_tasks", FRONT_END=FRONT_END) as server:
        yield server


@dataclass
class Somebody:
    """A client without a cookie jar: it sends the cookie that it is told to."""

    session: aiohttp.ClientSession
    url: str
    cookie: str | None = None

    async def ask(self, method: str, path: str, **headers: str) -> aiohttp.ClientResponse:
        """The answer to a request, whose body may still be coming."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie is not None:
            headers["Cookie"] = f"session={self.cookie}"
        return await self.session.request(method, self.url + path, headers=headers)

    async def open_page(self) -> str:
        """Open the page, and keep the session; the whole Set-Cookie."""
        async with await self.ask("GET", "/") as response:
            self.cookie = response.cookies["session"].value
            return response.headers["Set-Cookie"]

    async def start(self, seconds: float) -> str:
        """Start a task; its id."""
        async with await self.ask("POST", f"/tasks?seconds={seconds}") as response:
            assert response.status == 200
            return str(await response.json())

    async def tasks(self) -> list[str]:
        """The ids of all tasks that are shown."""
        async with await self.ask("GET", "/own/tasks") as response:
            assert response.status == 200
            return [task["task_id"] for task in await response.json()]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session without a cookie jar: tests set the cookies themselves."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.fixture
def nobody(session: aiohttp.ClientSession, server: Server) -> Somebody:
    """Somebody without a session."""
    return Somebody(session, server.url)


@pytest.fixture
async def owner(session: aiohttp.ClientSession, server: Server) -> Somebody:
    """Somebody with a session."""
    owner = Somebody(session, server.url)
    await owner.open_page()
    return owner


async def test_cookie(nobody: Somebody) -> None:
    """The cookie is HttpOnly, SameSite and, over HTTPS, Secure; it is set once."""
    cookie = await nobody.open_page()
    assert {"httponly", "samesite=lax", "path=/"} == {
        each.strip().lower() for each in cookie.split(";")[1:]
    }
    async with await nobody.ask("GET", "/") as response:
        assert "Set-Cookie" not in response.headers
    nobody.cookie = None
    async with await nobody.ask("GET", "/", X_Forwarded_Proto="https") as response:
        assert "; Secure" in response.headers["Set-Cookie"]


async def test_forged_cookie_is_replaced(nobody: Somebody) -> None:
    """A cookie that the server has not signed is replaced, whatever it contains."""
    await nobody.open_page()
    session, _, signature = (nobody.cookie or "").partition(".")
    assert len(session) >= 43  # 256 bits
    for forged in (
        "f" * 43,
        f"{session}.",
        f"{session}.{'0' * len(signature)}",
        f"x{nobody.cookie}",
        "é.é",
    ):
        nobody.cookie = forged
        await nobody.open_page()
        assert nobody.cookie != forged


async def test_bounded(owner: Somebody) -> None:
    """A session has a few tasks at a time, so that none takes the places of the others."""
    running = [await owner.start(3600) for _ in range(5)]
    async with await owner.ask("POST", "/tasks") as response:
        assert (response.status, "You have 5 tasks" in await response.text()) == (429, True)
    async with await owner.ask("POST", f"/own/tasks/{running[0]}/cancel") as response:
        assert response.status == 200
    await owner.start(0)


@pytest.mark.parametrize("who", ["another session", "no session", "empty", "forged", "the task's id"])
async def test_intruder(nobody: Somebody, owner: Somebody, who: str) -> None:
    """Others get the same 404 for this task as for one that doesn't exist, and can't change it."""
    task_id = await owner.start(60)
    if who == "another session":
        await nobody.open_page()
        assert await nobody.tasks() == []
    else:
        forged = (owner.cookie or "")[:-1] + "~"
        cookies = {"no session": None, "empty": "", "forged": forged, "the task's id": task_id}
        nobody.cookie = cookies[who]
        for method, path in (("GET", "/own/tasks"), ("POST", "/tasks")):
            async with await nobody.ask(method, path) as response:
                assert response.status == 404
    for method, path in ROUTES:
        answers = []
        for each in (task_id, UNKNOWN[:24] + task_id[24:]):  # as if this server had given it out
            async with await nobody.ask(method, path.format(each)) as response:
                answers.append((response.status, (await response.text()).replace(each, "…")))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404
    async with await owner.ask("GET", f"/own/tasks/{task_id}/stream") as response:
        assert b"id: 1\n" in await response.content.readline()
        async with await owner.ask("POST", f"/own/tasks/{task_id}/cancel"):
            pass
        stream = await response.text()
    assert stream.count("REVOKED") == 1  # by its owner


@pytest.mark.parametrize("origin", [EVIL, "null", FRONT_END + ".evil.example", FRONT_END + ":444"])
async def test_other_origins(owner: Somebody, origin: str) -> None:
    """A form or a script of another origin is refused, even with the owner's cookie."""
    task_id = await owner.start(60)
    form = {"Origin": origin, "Content_Type": "application/x-www-form-urlencoded"}
    for method, path in [("POST", "/tasks"), ("GET", "/own/tasks"), ("GET", "/"), *ROUTES]:
        async with await owner.ask(method, path.format(task_id), **form) as response:
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers
            assert "Set-Cookie" not in response.headers
    assert await owner.tasks() == [task_id]


async def test_front_end(owner: Somebody, server: Server) -> None:
    """The one origin that may is named exactly, with credentials; and our own may too; no other."""
    for origin, status in ((FRONT_END, 200), (EVIL, 400), ("null", 400)):
        preflight = {"Origin": origin, "Access_Control_Request_Method": "POST"}
        async with await owner.ask("OPTIONS", "/tasks", **preflight) as response:
            assert response.status == status
            assert ("Access-Control-Allow-Origin" in response.headers) is (origin == FRONT_END)
    task_id = await owner.start(0)
    for origin in (FRONT_END, server.url):
        async with await owner.ask("GET", f"/own/tasks/{task_id}/stream", Origin=origin) as response:
            assert response.status == 200
            assert "SUCCESS" in await response.text()
            if origin == FRONT_END:
                assert response.headers["Access-Control-Allow-Origin"] == FRONT_END
                assert response.headers["Access-Control-Allow-Credentials"] == "true"
                assert "Origin" in response.headers["Vary"]
