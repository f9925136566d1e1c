"""Redis goes away and comes back: streams stay open, nothing is half-done, and all recovers by itself."""

import asyncio
import re
import shutil
import signal
import time
from pathlib import Path

import aiohttp
import pytest
from redis import Redis

from benchmarks.peers.ports import free_port
from taskstream.redis.queue import create_celery
from tests.conftest import Start
from tests.support.api import ENDED, LONG_TASK, Api, Event, blocks, check_story
from tests.support.backends import RedisServer, Worker, sharing_server
from tests.support.programs import ROOT, Program

pytestmark = pytest.mark.slow

ANSWER_SECONDS = 3


class AnyRedis(Program):
    """`redis-server` with a configuration of its own."""

    executable = ("redis-server",)


class OpenStream:
    """A stream that must not be cut: its events, and the pings between them."""

    def __init__(self, api: Api, task_id: str) -> None:
        self.events: list[Event] = []
        self._api = api
        self._task_id = task_id
        self._pings: asyncio.Queue[None] = asyncio.Queue()
        self.reading = asyncio.create_task(self._read())

    async def until(self, event_id: int) -> None:
        """Return when it has shown this event. Fails if it doesn't within ten seconds."""
        async with asyncio.timeout(10):
            while not self.events or self.events[-1].id < event_id:
                await self._api.status(self._task_id)

    async def pings(self, count: int) -> None:
        """Wait for so many pings from now on. Fails if the stream ends."""
        self._pings = asyncio.Queue()
        for _ in range(count):
            ping = asyncio.create_task(self._pings.get())
            await asyncio.wait([ping, self.reading], return_when=asyncio.FIRST_COMPLETED)
            assert ping.done(), "the stream was cut"

    async def _read(self) -> list[Event]:
        async with self._api.open(f"/task-progress/{self._task_id}") as response:
            async for block in blocks(response):
                if block.startswith(":"):
                    self._pings.put_nowait(None)
                else:
                    self.events.append(Event([tuple(line.split(": ", 1)) for line in block.split("\n")]))  # type: ignore[misc]
        return self.events


async def out_of_reach(api: Api, *known: str) -> None:
    """Everything that needs Redis gets a 503 in words, soon; what is known is shown.

    But not to a viewer of many tasks, who may have seen more of them elsewhere, and doesn't say so.
    """
    for method, path in (
        ("POST", "/start-task"),
        ("GET", "/health"),
        ("GET", "/task-status/" + "0" * 32),
        ("GET", "/task-progress/" + "0" * 32),
        *(("GET", f"/task-progress?task_id={task_id}") for task_id in known),
    ):
        began = time.monotonic()
        async with api.session.request(method, api.url(path)) as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0
            assert (await response.json())["detail"] == "Redis is out of reach: try again later."
        assert time.monotonic() - began < ANSWER_SECONDS, path
    for task_id in known:
        began = time.monotonic()
        assert (await api.status(task_id))["task_id"] == task_id
        await api.json("POST", f"/cancel-task/{task_id}", 503)
        assert time.monotonic() - began < ANSWER_SECONDS, path


async def recovered(api: Api) -> dict[str, int]:
    """The health of a server, once it is well again."""
    async with asyncio.timeout(10):
        while True:
            async with api.session.get(api.url("/health")) as response:
                if response.status == 200:
                    health: dict[str, int] = await response.json()
                    return health


def check_resumed(stream: list[Event], status: str) -> None:
    """One jump, of which the viewer is told; no other gap, no duplicate, and one end, which is this one."""
    [lost] = [number for number, event in enumerate(stream) if event["event"] == "lost"]
    before, jump, after = stream[:lost], stream[lost].snapshot, stream[lost + 1 :]
    assert [event.id for event in before] == list(range(1, jump["from"]))
    assert [event.id for event in after] == [jump["to"] + number for number in range(1, len(after) + 1)]
    statuses = [event.snapshot["status"] for event in before + after]
    assert [each for each in statuses if each in ENDED] == [statuses[-1]] == [status]


async def test_redis_comes_back_with_less(
    start: Start, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Stopped for ten seconds: streams stay open, with heartbeats; then progress carries on.

    Although an older state was restored, nobody is shown another event under an id that was seen.
    """
    folder, older = tmp_path / "redis", tmp_path / "older"
    folder.mkdir()
    redis = start(RedisServer(folder=folder))
    api = Api(session, [start(sharing_server(redis.url, "--ping-seconds", "1")).url for _ in range(2)])
    start(Worker(redis.url, processes=2))
    tasks = [
        (await api.start(work=work, seconds=18, steps=60))["task_id"] for work in ("simulated", "scraping")
    ]
    queued = (await api.start(seconds=0.1))["task_id"]
    streams = [OpenStream(api, task_id) for task_id in [*tasks, queued] for _ in range(2)]
    for task_id in tasks:
        await api.until(task_id, "PROGRESS")
    shutil.copytree(folder, older)
    for stream in streams[:4]:
        await stream.until(10)

    redis.stop()
    began = time.monotonic()
    await asyncio.gather(*(stream.pings(5) for stream in streams))
    for _ in range(2):
        await out_of_reach(api, *tasks)
    await streams[0].pings(max(1, 10 - round(time.monotonic() - began)))
    start(RedisServer(redis.port, older))

    for _ in range(2):
        health = await recovered(api)
        assert health["tasks"] == 3  # nothing was half-started
    for stream in streams:
        async with asyncio.timeout(60):
            check_resumed(await stream.reading, "SUCCESS")
    for task_id, stream, other in zip([*tasks, queued], streams[::2], streams[1::2], strict=True):
        shown: dict[int, str | None] = {}
        for event in [*stream.events, *other.events, *await api.watch(task_id)]:
            if event["event"] != "lost":
                assert shown.setdefault(event.id, event["data"]) == event["data"]
    check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")


async def test_redis_comes_later(start: Start, session: aiohttp.ClientSession) -> None:
    """A server that starts before Redis says so, and is well as soon as Redis is there."""
    port = free_port()
    later = sharing_server(f"redis://127.0.0.1:{port}")
    api = Api(session, [start(later).url])
    await out_of_reach(api)
    redis = start(RedisServer(port))
    assert (await recovered(api))["tasks"] == 0
    start(Worker(redis.url, processes=1))
    await recovered(api)  # over a new connection, if the server has closed the one before meanwhile
    check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")
    assert "Traceback" not in later.output


async def test_redis_hangs(start: Start, session: aiohttp.ClientSession) -> None:
    """A Redis that takes connections but doesn't answer is out of reach as well."""
    redis = start(RedisServer())
    hung = sharing_server(redis.url, "--ping-seconds", "0.5")
    api = Api(session, [start(hung).url])
    task_id = (await api.start(**LONG_TASK))["task_id"]
    stream = OpenStream(api, task_id)
    await stream.pings(1)
    redis.process.send_signal(signal.SIGSTOP)
    await asyncio.gather(*(out_of_reach(api, task_id) for _ in range(20)))
    await stream.pings(2)
    redis.process.send_signal(signal.SIGCONT)
    async with asyncio.timeout(10):
        while (await recovered(api))["tasks"] != 1:  # what was half-started is forgotten
            pass
    assert (await api.cancel(task_id))["status"] == "REVOKED"
    check_story(await stream.reading, "REVOKED")
    assert "Traceback" not in hung.output


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--replicaof", "127.0.0.1", "1"), "is a replica"),
        (("--cluster-enabled", "yes"), "is a node of a cluster"),
        (("--sentinel",), "perhaps a Sentinel"),
        (("--user", "default", "on", "nopass", "~*", "+@connection"), "forbids this user a command"),
        (("--requirepass", "another"), "refuses the user or the password"),
    ],
)
async def test_another_redis(
    start: Start, session: aiohttp.ClientSession, tmp_path: Path, flags: tuple[str, ...], words: str
) -> None:
    """What is no primary, or doesn't let us in, is called what it is."""
    while (port := free_port()) > 55_535:  # a node of a cluster takes the port 10,000 above it, too
        pass
    configuration = tmp_path / "redis.conf"
    configuration.write_text(f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n", encoding="ascii")
    start(AnyRedis(str(configuration), *flags)).wait_for("Ready to accept|Sentinel ID is")
    api = Api(session, [start(sharing_server(f"redis://127.0.0.1:{port}")).url])
    assert words in (await api.json("POST", "/start-task", 503))["detail"]


async def test_access_rules(start: Start, session: aiohttp.ClientSession) -> None:
    """The rules that the page gives are enough for servers and workers."""
    page = (ROOT / "docs" / "more-than-one-machine.md").read_text(encoding="utf-8")
    [rules] = re.findall(r"ACL SETUSER tasks on >password (.*)", page)
    redis = start(RedisServer())
    with Redis.from_url(redis.url, decode_responses=True) as client:
        client.execute_command("ACL", "SETUSER", "tasks", "on", ">password", *rules.split())
        url = redis.url.replace("//", "//tasks:password@")
        api = Api(session, [start(sharing_server(url)).url])
        start(Worker(url, processes=1, flags=("--task-events",)))
        check_story(await api.watch((await api.start(seconds=0.5))["task_id"]), "SUCCESS")
        running = (await api.start(**LONG_TASK))["task_id"]
        await api.until(running, "PROGRESS")
        create_celery(url, "taskstream").control.revoke(running, reply=True, terminate=True)
        check_story(await api.watch(running), "REVOKED")
        assert client.acl_log() == []


async def test_redis_loses_its_data(cluster: Api, own_client: Redis) -> None:
    """Streams of tasks that Redis no longer knows end; who comes back is told that they are unknown."""
    api = cluster
    task_id = (await api.start(**LONG_TASK))["task_id"]
    await api.until(task_id, "PROGRESS")
    stream = OpenStream(api, task_id)
    await stream.until(1)
    own_client.flushall()
    async with asyncio.timeout(10):
        assert (await stream.reading)[-1].snapshot["status"] not in ENDED
    await api.json("GET", f"/task-progress/{task_id}", 404)
    async with asyncio.timeout(10):  # the worker too has given it up
        check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")


@pytest.mark.parametrize("redis_is", ["up", "down", "hung"])
async def test_shutdown(start: Start, session: aiohttp.ClientSession, redis_is: str) -> None:
    """A server stops within 3 s with streams open, whatever Redis does; its tasks go on without it."""
    redis = start(RedisServer())
    stopping = start(sharing_server(redis.url))
    api = Api(session, [stopping.url])
    task_id = (await api.start(**LONG_TASK))["task_id"]
    streams = [OpenStream(api, task_id) for _ in range(50)]
    await asyncio.gather(*(stream.until(1) for stream in streams))
    if redis_is == "hung":
        redis.process.send_signal(signal.SIGSTOP)
    elif redis_is == "down":
        redis.stop()
    if redis_is != "up":
        await out_of_reach(api, task_id)
    began = time.monotonic()
    code = await asyncio.to_thread(stopping.stop)
    assert time.monotonic() - began < 3
    assert code in (0, -signal.SIGTERM)
    assert "Traceback" not in stopping.output
    for stream in streams:
        assert [event.id for event in await stream.reading] == [1]
    if redis_is == "up":
        again = Api(session, [start(sharing_server(redis.url)).url])
        assert (await again.status(task_id))["status"] == "PENDING"
