"""A Redis, and what speaks to it."""

from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from random import Random

import aiohttp
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from redis import Redis

from benchmarks.chaos.proxy import Proxy
from taskstream.events import Event, Kind
from taskstream.log import Log
from taskstream.redis.delivery import find_task
from taskstream.redis.logs import Page, RedisLogs
from taskstream.redis.mirrors import Mirror, Mirrors
from taskstream.redis.worker import Leases
from taskstream.settings import Settings
from taskstream.tasks import Task
from taskstream.viewers import Follower
from tests.conftest import Start
from tests.support.api import Api
from tests.support.backends import OwnServer, RedisServer, Worker, sharing_server

NAMESPACE = "test"

# For tests without servers and workers, which share a Redis


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as redis:
        yield redis


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Redis]:
    """A connection to an empty Redis."""
    with Redis.from_url(redis_server.url, decode_responses=True) as redis:
        redis.flushall()
        yield redis


def logs_of(url: str, connections: int = 4, **settings: float) -> RedisLogs:
    return RedisLogs(Settings(redis_url=url, **{"history_length": 250, **settings}), NAMESPACE, connections)


@pytest.fixture
async def logs(redis_server: RedisServer, client: Redis) -> AsyncIterator[RedisLogs]:  # noqa: ARG001 - empty
    logs = logs_of(redis_server.url)
    yield logs
    await logs.aclose()


@pytest.fixture
async def worker_logs(redis_server: RedisServer) -> AsyncIterator[RedisLogs]:
    """The same logs, as a worker has them."""
    logs = logs_of(redis_server.url, connections=1)
    yield logs
    await logs.aclose()


@pytest.fixture
def leases(redis_server: RedisServer) -> Leases:
    return Leases(redis_server.url, NAMESPACE)


async def append(
    logs: RedisLogs,
    task_id: str,
    *counts: int,
    writer: str = "me",
    kind: Kind = Kind.SNAPSHOT,
    data: bytes = b"",
    last: bool = False,
) -> bool:
    """Append events that their writer counts like this."""
    events = [Event(count, kind, data or b"event %d" % count) for count in counts]
    if last:
        events[-1] = events[-1]._replace(kind=Kind.LAST)
    return await logs.append(task_id, events, writer) is not None


async def ids(logs: RedisLogs, task_id: str, position: int = 0) -> list[int]:
    """The numbers of the events from a position on."""
    [page] = await logs.read([(task_id, position)])
    return [event.id for event in page.events]


async def new_task(logs: RedisLogs) -> Task:
    """A task whose log in Redis has its first event, as a worker finds it."""
    task = Task.create("a name", Log(1))
    await logs.create(task, "message")
    found = await find_task(logs, task.task_id)
    assert found
    return found


@pytest.fixture
def reads(logs: RedisLogs, monkeypatch: pytest.MonkeyPatch) -> list[list[Page]]:
    """What is read of the logs from now on, a request at a time."""
    reads: list[list[Page]] = []

    async def read(positions: Sequence[tuple[str, int]]) -> list[Page]:
        reads.append(await RedisLogs.read(logs, positions))
        return reads[-1]

    monkeypatch.setattr(logs, "read", read)
    return reads


@pytest.fixture
async def mirrors(logs: RedisLogs) -> Mirrors:
    return Mirrors(logs, Settings())


async def mirror_of(mirrors: Mirrors, task: Task) -> Mirror:
    """The mirror of a task, with all that there is."""
    await mirrors.refresh([task.task_id])
    mirror = mirrors.get(task.task_id)
    assert mirror
    return mirror


def everything(mirror: Mirror, after: int = 0) -> list[Event]:
    """All that a viewer is shown who comes now."""
    viewer = Follower(mirror.log, after)
    return [event for events in iter(viewer.take_events, []) for event in events]


# For tests of servers and workers, each with a Redis of its own


@pytest.fixture
def redis(start: Start) -> RedisServer:
    server: RedisServer = start(RedisServer())
    return server


@pytest.fixture
def own_client(redis: RedisServer) -> Iterator[Redis]:
    """A connection to it."""
    with Redis.from_url(redis.url, decode_responses=True) as redis_client:
        yield redis_client


class Line:
    """The line to a Redis, and whatever may happen to it."""

    def __init__(self, proxy: Proxy, portal: BlockingPortal) -> None:
        self.url = f"redis://127.0.0.1:{proxy.port}/0"
        self.damage = proxy.damage
        self.cut = partial(portal.call, proxy.reset)
        self.mute = partial(portal.call, proxy.mute)


@pytest.fixture
def line(redis: RedisServer) -> Iterator[Line]:
    """In a thread of its own, as tests block theirs while they wait for programs."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Proxy(redis.port, Random(0))) as proxy,
    ):
        yield Line(proxy, portal)


@pytest.fixture
def api(redis: RedisServer, start: Start, session: aiohttp.ClientSession) -> Api:
    """One server; no worker yet."""
    return Api(session, [start(sharing_server(redis.url)).url])


@pytest.fixture
def cluster(redis: RedisServer, api: Api, start: Start) -> Api:
    """The same, and a worker with one process."""
    start(Worker(redis.url, processes=1))
    return api


@pytest.fixture
def two_servers(redis: RedisServer, start: Start, session: aiohttp.ClientSession) -> Api:
    """Two servers, of which each is asked in turn; no worker yet."""
    return Api(session, [start(sharing_server(redis.url)).url for _ in range(2)])


@pytest.fixture
def own_server(redis: RedisServer, start: Start, session: aiohttp.ClientSession) -> Api:
    """A server with the work of `own_app.py`; no worker yet."""
    return Api(session, [start(OwnServer("--redis-url", redis.url)).url])


@pytest.fixture
def own_cluster(redis: RedisServer, own_server: Api, start: Start) -> Api:
    """The same, and a worker with one process."""
    start(Worker(redis.url, processes=1, module="tests.redis.own_app"))
    return own_server
