"""Private tasks: their owner can do everything; for everybody else they don't exist."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import aiohttp
import pytest

from tests.support.examples import Example
from tests.support.programs import Server

EVIL = "https://evil.example"
FRONT_END = "https://app.example"
UNKNOWN = "0" * 24
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
        """The answer to a request, whole."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie is not None:
            headers["Cookie"] = f"session={self.cookie}"
        async with self.session.request(method, self.url + path, headers=headers) as response:
            await response.read()
        return response

    async def open_page(self) -> str:
        """Open the page, and keep the session; the whole Set-Cookie."""
        response = await self.ask("GET", "/")
        self.cookie = response.cookies["session"].value
        return response.headers["Set-Cookie"]

    async def start(self, seconds: float) -> str:
        """Start a task; its id."""
        return str(await (await self.ask("POST", f"/tasks?seconds={seconds}")).json())

    async def tasks(self) -> list[str]:
        """The ids of all tasks that are shown."""
        return [task["task_id"] for task in await (await self.ask("GET", "/own/tasks")).json()]


@pytest.fixture
async def nobody(server: Server) -> AsyncIterator[Somebody]:
    """Somebody without a session."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Somebody(session, server.url)


@pytest.fixture
async def owner(nobody: Somebody) -> Somebody:
    """Somebody with a session."""
    owner = Somebody(nobody.session, nobody.url)
    await owner.open_page()
    return owner


async def test_cookie(nobody: Somebody) -> None:
    """The cookie is HttpOnly, SameSite and, over HTTPS, Secure; it is set once."""
    cookie = await nobody.open_page()
    flags = {each.strip().lower() for each in cookie.split(";")[1:]}
    assert flags == {"httponly", "samesite=lax", "path=/"}
    assert "Set-Cookie" not in (await nobody.ask("GET", "/")).headers
    nobody.cookie = None
    assert "; Secure" in (await nobody.ask("GET", "/", X_Forwarded_Proto="https")).headers["Set-Cookie"]


async def test_forged_cookie_is_replaced(nobody: Somebody) -> None:
    """A cookie that the server has not signed is replaced, whatever it contains."""
    await nobody.open_page()
    session, _, signature = (nobody.cookie or "").partition(".")
    assert len(session) >= 43  # 256 bits
    unsigned = f"{session}.{'0' * len(signature)}"
    for forged in ("f" * 43, f"{session}.", unsigned, f"x{nobody.cookie}", "é.é"):
        nobody.cookie = forged
        await nobody.open_page()
        assert nobody.cookie != forged


async def test_bounded(owner: Somebody) -> None:
    """A session has a few tasks at a time, so that none takes the places of the others."""
    running = [await owner.start(3600) for _ in range(5)]
    refusal = await owner.ask("POST", "/tasks")
    assert (refusal.status, "You have 5 tasks" in await refusal.text()) == (429, True)
    await owner.ask("POST", f"/own/tasks/{running[0]}/cancel")
    assert (await owner.ask("POST", "/tasks?seconds=0")).status == 200


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
            assert (await nobody.ask(method, path)).status == 404
    for method, path in ROUTES:
        ids = (task_id, UNKNOWN + task_id[24:])  # as if this server had given it out
        answers = [await nobody.ask(method, path.format(each)) for each in ids]
        assert [each.status for each in answers] == [404, 404]
        texts = [(await each.text()).replace(id_, "…") for each, id_ in zip(answers, ids, strict=True)]
        assert texts[0] == texts[1]
    assert '"REVOKED"' not in await (await owner.ask("GET", "/own/tasks")).text()
    await owner.ask("POST", f"/own/tasks/{task_id}/cancel")
    assert '"REVOKED"' in await (await owner.ask("GET", f"/own/tasks/{task_id}/stream")).text()


@pytest.mark.parametrize("origin", [EVIL, "null", FRONT_END + ".evil.example", FRONT_END + ":444"])
async def test_other_origins(owner: Somebody, origin: str) -> None:
    """A form or a script of another origin is refused, even with the owner's cookie."""
    task_id = await owner.start(60)
    form = {"Origin": origin, "Content_Type": "application/x-www-form-urlencoded"}
    for method, path in [("POST", "/tasks"), ("GET", "/own/tasks"), ("GET", "/"), *ROUTES]:
        response = await owner.ask(method, path.format(task_id), **form)
        assert response.status == 403
        assert not [
            each for each in ("Access-Control-Allow-Origin", "Set-Cookie") if each in response.headers
        ]
    assert await owner.tasks() == [task_id]


async def test_front_end(owner: Somebody, server: Server) -> None:
    """The one origin that may is named exactly, with credentials; and our own may too; no other."""
    for origin, status in ((FRONT_END, 200), (EVIL, 400), ("null", 400)):
        preflight = {"Origin": origin, "Access_Control_Request_Method": "POST"}
        response = await owner.ask("OPTIONS", "/tasks", **preflight)
        assert response.status == status
        assert ("Access-Control-Allow-Origin" in response.headers) is (origin == FRONT_END)
    path = f"/own/tasks/{await owner.start(0)}/stream"
    theirs, ours = [await owner.ask("GET", path, Origin=origin) for origin in (FRONT_END, server.url)]
    for response in (theirs, ours):
        assert "SUCCESS" in await response.text()
    assert theirs.headers["Access-Control-Allow-Origin"] == FRONT_END
    assert theirs.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in theirs.headers["Vary"]
