"""Everybody sees their own tasks: for everybody else they are as unknown as those that never were."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import pytest
from fastapi import Body, Depends, FastAPI, Header, Request, Response
from fastapi.testclient import TestClient

from taskstream import EVERYBODY, IdempotencyKeyReused, Snapshot, TaskNotFound, TaskStream
from tests.support.api import Api
from tests.support.backends import RedisServer, Worker
from tests.support.programs import Server

SECRET = "the secret of Alice"
SLOW = ["sqlite", "redis"]


class ScopedServer(Server):
    """`python -m tests.support.scoped`."""

    program = ("-m", "tests.support.scoped")

    def __init__(self, **environment: str) -> None:
        super().__init__("--port", "0", **environment)


@pytest.fixture(
    scope="module", params=["memory", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An application with users, over each back end."""
    with ExitStack() as stack:
        environment = {"TASKSTREAM_REDIS_URL": "", "TASKSTREAM_DATABASE": ""}
        if request.param == "sqlite":
            environment["TASKSTREAM_DATABASE"] = str(tmp_path_factory.mktemp("data") / "tasks.db")
        if request.param == "redis":
            environment["TASKSTREAM_REDIS_URL"] = url = stack.enter_context(RedisServer()).url
            stack.enter_context(Worker(url, 8, "tests.support.scoped:celery"))
        yield stack.enter_context(ScopedServer(**environment))


class User(Api):
    """A client that says who it is in each request."""

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, dict[str, str], str]:
        """Status, headers and body of an answer, which has to end by itself."""
        async with asyncio.timeout(10):
            async with self.session.request(method, self.url(path), **options) as response:
                kept = {name: value for name, value in response.headers.items() if name != "Date"}
                return response.status, kept, await response.text()


@pytest.fixture
async def user(server: Server) -> AsyncIterator[Callable[[str | None], User]]:
    """Clients, by the tokens that they send."""
    async with AsyncExitStack() as stack:

        def user(token: str | None) -> User:
            session = aiohttp.ClientSession(headers={} if token is None else {"Authorization": token})
            stack.push_async_callback(session.close)
            return User(session, [server.url])

        yield user


@pytest.fixture
async def alice(user: Callable[[str], User]) -> User:
    return user("Bearer a")


@pytest.fixture
async def bob(user: Callable[[str], User]) -> User:
    return user("Bearer b")


@pytest.fixture
async def hers(alice: User) -> AsyncIterator[str]:
    """A task of Alice's, which runs until the test is over, and which nobody else has changed then."""
    task_id = (await alice.start(secret=SECRET))["task_id"]
    await alice.until(task_id, "PROGRESS")
    yield task_id
    assert (await alice.json("GET", f"/tasks/{task_id}"))["status"] == "PROGRESS"
    assert (await alice.json("POST", f"/tasks/{task_id}/cancel"))["status"] == "REVOKED"


ROUTES = [
    ("GET", "/tasks/{}"),
    ("HEAD", "/tasks/{}"),
    ("GET", "/task-status/{}"),
    ("HEAD", "/task-status/{}"),
    ("GET", "/tasks/{}/stream"),
    ("GET", "/task-progress/{}"),
    ("POST", "/tasks/{}/cancel"),
    ("POST", "/cancel-task/{}"),
    ("GET", "/task-progress?task_id={}"),
    ("POST", "/task-progress"),
]
"""All that name a task."""

QUERIES = ["", "wait=0", "last_event_id=1", "lastEventId=99", "scope=alice", "user=alice&name=alice"]

HEADERS: list[dict[str, str]] = [
    {"Last-Event-ID": "1"},
    {"Last-Event-ID": "3"},
    {"Cookie": "authorization=Bearer a; user=alice; scope=alice"},
    {"X-User": "alice", "Scope": "alice", "Name": "alice"},
    {"X-Forwarded-User": "alice", "X-Original-URL": "/tasks", "X-HTTP-Method-Override": "GET"},
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_attacks(bob: User, hers: str, method: str, path: str) -> None:
    """Whatever Bob sends beside his token, he is told of her task what he is told of none."""
    for query, headers in (*((each, {}) for each in QUERIES), *(("", each) for each in HEADERS)):
        asked = path + (query and ("&" if "?" in path else "?") + query)
        answers = []
        for task_id in (hers, f"{'0' * 24}{hers[24:]}"):
            ids = {"task_ids": [task_id]} if method == "POST" else None
            status, told, body = await bob.ask(method, asked.format(task_id), headers=headers, json=ids)
            answers.append((status, told, re.sub("retry: [0-9]+", "", body.replace(task_id, "…"))))
        assert answers[0] == answers[1], (query, headers)
        status, _, body = answers[0]
        said = """event: unknown\ndata: {"task_id":"…","detail":"Task '…' [^"]+"}\n\n$"""
        unknown = re.search(said, body)
        assert unknown if re.match(r"/task-progress(\?|$)", asked) else status == 404
        assert SECRET not in body


@pytest.mark.parametrize(
    "path",
    [
        "/tasks/{}/",
        "/tasks/{}%00",
        "/tasks/{}%20",
        "/tasks//{}",
        "/tasks/x%2f..%2f{}",
        "/tasks/../tasks/{}",
        "/tasks/{}/stream/",
        "/tasks?task_id={}",
        "/tasks?status=PROGRESS&limit=1000&scope=alice&task_id={}",
        "/works?task_id={}",
        "/health?task_id={}",
        "/metrics?task_id={}",
        "/",
        "/openapi.json",
    ],
)
async def test_other_paths(bob: User, hers: str, path: str) -> None:
    """No other path leads to her task, nor names her; what counts tasks does just that."""
    _, _, body = await bob.ask("GET", path.format(hers))
    assert not any(word in body for word in (hers + '"', SECRET, "alice"))


@pytest.mark.parametrize(
    "token", [None, "", "Bearer", "Bearer A", "bearer a", "Bearer a, Bearer b", "Bearer a;", "alice"]
)
async def test_nobody(user: Callable[[str | None], User], hers: str, token: str | None) -> None:
    """Who can't say who they are gets what the dependency raises, everywhere."""
    nobody = user(token)
    for method, path in (*ROUTES, ("GET", "/tasks"), ("HEAD", "/tasks"), ("POST", "/start-task")):
        status, headers, body = await nobody.ask(method, path.format(hers))
        assert (path, status, headers["Cache-Control"]) == (path, 401, "no-store")
        assert body == ("" if method == "HEAD" else '{"detail":"Say who you are."}')


async def test_many_tasks(alice: User, bob: User, hers: str) -> None:
    """In one stream with his own, hers is unknown; to her, his is."""
    ending = {user: (await user.start(seconds=0))["task_id"] for user in (alice, bob)}
    for user, other in ((bob, hers), (alice, ending[bob])):
        path = f"/task-progress?task_id={other}&task_id={ending[user]}&task_id={other}"
        _, _, body = await user.ask("GET", path)
        assert (body.count("event: unknown\n"), body.count(f'data: {{"task_id":"{other}",')) == (1, 1)
        assert f'"detail":"Task \'{other}\' not found: it has never existed' in body
        assert f'data: {{"task_id":"{ending[user]}"' in body


async def test_list(user: Callable[[str], User]) -> None:
    """`GET /tasks` has one's own latest snapshots, newest first, of a status, as many as one likes."""
    carol = user("Bearer c")
    assert await carol.json("GET", "/tasks") == []
    ended = [(await carol.start(seconds=0))["task_id"] for _ in range(3)]
    for task_id in ended:
        await carol.until(task_id, "SUCCESS")
    running = (await carol.start(secret="mine"))["task_id"]
    await carol.until(running, "PROGRESS")
    listed = await carol.json("GET", "/tasks")
    assert [each["task_id"] for each in listed] == [running, *reversed(ended)]
    assert listed[0] == await carol.json("GET", f"/tasks/{running}")
    for query, expected in (
        ("status=PROGRESS", [running]),
        ("status=SUCCESS&limit=2", ended[:0:-1]),
        ("limit=1", [running]),
        ("status=REVOKED", []),
    ):
        assert [each["task_id"] for each in await carol.json("GET", f"/tasks?{query}")] == expected
    for query in ("limit=0", "limit=1001", "limit=x", "status=DONE"):
        assert (await carol.ask("GET", f"/tasks?{query}"))[0] == 422
    await carol.json("POST", f"/tasks/{running}/cancel")


async def test_children_over_http(alice: User, bob: User) -> None:
    """What work starts, in a server, a worker, or a thread of either, is in the scope of its task."""
    for work in ("parent", "parent_in_thread"):
        parent = (await alice.start(work=work))["task_id"]
        await alice.until(parent, "SUCCESS")
        answer = (await alice.json("GET", f"/tasks/{parent}"))["data"]
        child = answer if work == "parent" else answer[0]
        assert answer in (child, [child, "wait", parent])
        await alice.until(child, "SUCCESS")
        assert (await bob.ask("GET", f"/tasks/{child}"))[0] == 404


@pytest.mark.parametrize("answer", [None, 5, True, b"alice", "", ["alice"], {"sub": "alice"}, "a\ud800"])
def test_what_is_no_scope(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    """FastAPI holds nothing to an annotation: what isn't text is refused, and the log says why."""
    tasks = TaskStream(scope=lambda: answer)
    app = FastAPI()
    app.include_router(tasks.router)
    with TestClient(app) as client:
        for method, path in (("POST", "/start-task"), ("GET", "/tasks"), ("GET", "/task-progress/x")):
            refused = client.request(method, path)
            assert (refused.status_code, refused.json()) == (
                403,
                {"detail": "It isn't known whose request this is."},
            )
        for path in ("/", "/works", "/health", "/metrics", "/static/task-progress.js"):
            assert client.get(path).status_code == 200
    assert "A scope is text, not empty and without lone surrogates" in caplog.text


def by_body(who: Annotated[str, Body()]) -> str:
    return who


def by_task(task_id: str) -> str:
    return task_id


def within(who: Annotated[str, Depends(by_task)]) -> str:
    return who


def by_cookie(response: Response) -> str:
    response.set_cookie("visitor", "alice")
    return "alice"


@pytest.mark.parametrize("dependency", [by_body, by_task, within, by_cookie])
def test_dependencies_that_are_refused(dependency: Callable[..., str]) -> None:
    """What would take the body, the id of the task, or the response, is refused in a sentence."""
    with pytest.raises(TypeError, match=r"^The scope of a TaskStream can't have the parameter '\w+'"):
        _ = TaskStream(scope=dependency).router


def header(x_user: Annotated[str, Header()]) -> str:
    return x_user


@pytest.fixture
async def scoped() -> AsyncIterator[TaskStream]:
    """A `TaskStream` with a scope, that runs."""
    tasks = TaskStream(scope=header)

    @tasks.work
    async def own() -> str:
        child = await tasks.start("child")
        return child.task_id

    @tasks.work
    async def child() -> None: ...

    @tasks.work
    async def ask(*, task_id: str) -> list[str]:
        await tasks.get(task_id)
        return [each.task_id for each in await tasks.list()]

    async with tasks:
        yield tasks


async def end_of(tasks: TaskStream, task_id: str) -> Snapshot:
    """The last snapshot of a task."""
    *_, last = [event async for event in tasks.follow(task_id, scope=EVERYBODY)]
    assert last.snapshot
    return last.snapshot


async def test_python_has_to_say_whose(scoped: TaskStream) -> None:
    """Each verb raises where no scope is said, and knows the tasks of the one that is."""
    task_id = (await scoped.start("child", scope="alice")).task_id
    request = Request({"type": "http", "headers": [], "query_string": b""})
    verbs: list[Callable[..., Any]] = [
        lambda **scope: scoped.get(task_id, **scope),
        lambda **scope: scoped.cancel(task_id, **scope),
        lambda **scope: anext(scoped.follow(task_id, **scope)),
        lambda **scope: scoped.stream(request, task_id, **scope),
    ]
    others: list[Callable[..., Any]] = [
        lambda **scope: scoped.start("child", **scope),
        scoped.list,
        lambda **scope: scoped.stream_many(request, [task_id], **scope),
    ]
    for verb in verbs + others:
        with pytest.raises(TypeError, match=r"say whose by scope=…, or EVERYBODY\.$"):
            await verb()
        for wrong in ("", 5, "\ud800"):
            with pytest.raises(ValueError, match=r"^A scope is text"):
                await verb(scope=wrong)
    for verb in verbs:
        with pytest.raises(TaskNotFound):
            await verb(scope="bob")
        for scope in ("alice", EVERYBODY):
            assert await verb(scope=scope)
    assert await scoped.list("bob") == []
    assert [each.task_id for each in await scoped.list("alice")] == [task_id]


async def test_another_task_stream() -> None:
    """Work of one says nothing of whose the tasks of another are."""
    first, second = (TaskStream(scope=lambda: "nobody") for _ in range(2))

    @first.work
    @second.work
    async def starts_another(*, level: int = 1) -> None:
        if level:
            await second.start(starts_another, level=0)

    async with first, second:
        mine = await second.start(starts_another, scope="alice")
        assert (await end_of(second, mine.task_id)).status == "SUCCESS"
        other = await first.start(starts_another, scope="alice")
        assert (await end_of(first, other.task_id)).message.startswith("Unexpected TypeError")


async def test_children(scoped: TaskStream) -> None:
    """Work is in the scope of its task: so are the tasks that it starts and asks for.

    A task that is started for everybody is no user's; its work has to say whose tasks it starts.
    """
    hers = await end_of(scoped, (await scoped.start("own", scope="alice")).task_id)
    asked = {}
    for scope in ("alice", "bob"):
        asked[scope] = await end_of(
            scoped, (await scoped.start("ask", scope=scope, task_id=hers.data)).task_id
        )
    assert asked["alice"].status == "SUCCESS"
    assert asked["alice"].data == [asked["alice"].task_id, hers.data, hers.task_id]
    assert (asked["bob"].status, asked["bob"].message[:6]) == ("FAILURE", "Task '")
    nobodys = await end_of(scoped, (await scoped.start("own", scope=EVERYBODY)).task_id)
    assert nobodys.status == "FAILURE"
    with pytest.raises(TaskNotFound):
        await scoped.get(nobodys.task_id, scope="alice")


async def test_keys(scoped: TaskStream) -> None:
    """Scopes are compared exactly, and no two of them with their keys can look alike."""
    pairs: list[tuple[str, Any]] = [
        ("a", EVERYBODY),
        ("a", "user"),
        ("ra", "use"),
        ('a","b', EVERYBODY),
        ("b", "a"),
        ("a", "User"),
    ]
    ids = [
        (await scoped.start("child", idempotency_key=key, scope=scope)).task_id for key, scope in pairs * 2
    ]
    assert ids[: len(pairs)] == ids[len(pairs) :]
    assert len({*ids}) == len(pairs)
    with pytest.raises(IdempotencyKeyReused):
        await scoped.start("ask", idempotency_key="a", scope="user", task_id="x")


async def test_scopes_outlive_the_process(tmp_path: Path) -> None:
    """In a file, a task stays whose it was, whether it has ended or is yet to begin; so does the mark."""
    for life in range(2):
        tasks = TaskStream(scope=header, database=str(tmp_path / "tasks.db"))

        @tasks.work
        async def hold() -> None:
            await asyncio.Event().wait()

        async with tasks:
            if not life:
                started = [(await tasks.start("hold", scope="alice")).task_id for _ in range(2)]
            assert tasks.registry.mark == started[0][-8:]
            assert [each.task_id for each in await tasks.list("alice")] == started[::-1]
            assert await tasks.list("bob") == []
            for task_id in started:
                with pytest.raises(TaskNotFound):
                    await tasks.get(task_id, scope="bob")
