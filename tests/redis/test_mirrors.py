"""What a server knows of tasks that are run elsewhere, against a real Redis."""

from collections.abc import AsyncIterator, Iterator

import mirrors as module
import pytest
from redis import Redis

from taskstream.log import Follower
from taskstream.redis.availability import Availability
from taskstream.redis.logs import LOG, PAGE, RedisLogs
from taskstream.redis.mirrors import Mirrors
from taskstream.tasks import Task, TaskStatus
from tests.support.backends import RedisServer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as redis:
        yield redis


@pytest.fixture
async def logs(redis_server: RedisServer) -> AsyncIterator[RedisLogs]:
    logs = RedisLogs(redis_server.url, connections=2, history_length=1000, retention_seconds=300)
    yield logs
    await logs.close()


@pytest.fixture
async def mirrors(logs: RedisLogs) -> Mirrors:
    return Mirrors(logs, Availability(), history_length=1000)


async def started(logs: RedisLogs, events: int = 1) -> Task:
    """A task with so many events in Redis, as its worker knows it."""
    task = Task.create("a name", history_length=1)
    await logs.create(task.task_id, task.log.latest, 1000)
    for _ in range(events - 1):
        await report(logs, task)
    return task


async def report(logs: RedisLogs, task: Task, status: TaskStatus = TaskStatus.PROGRESS) -> None:
    task.publish(status, "")
    await logs.append(task.task_id, task.log.last_id, task.log.latest, "me", last=task.ended)


async def test_a_mirror_is_read_on(logs: RedisLogs, mirrors: Mirrors) -> None:
    """A mirror begins with all there is, page by page, and goes on to the end."""
    task = await started(logs, events=2 * PAGE + 50)
    assert mirrors.get(task.task_id) is None
    await mirrors.refresh([task.task_id, "unknown"])
    assert mirrors.get("unknown") is None
    mirror = mirrors.get(task.task_id)
    assert mirror
    assert (mirror.log.last_id, mirror.log.latest) == (2 * PAGE + 50, task.log.latest)
    await report(logs, task, TaskStatus.SUCCESS)
    with Follower(mirror.log, 2 * PAGE + 50) as viewer:
        await mirrors.refresh([task.task_id])
        assert (await viewer.read()).startswith(b"id: %d\n" % (2 * PAGE + 51))
        assert await viewer.read() == b""
    assert mirror.snapshot == task.snapshot


async def test_a_mirror_is_dropped(
    logs: RedisLogs, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror that nobody watches or asks for is dropped, and read again when somebody asks."""
    monkeypatch.setattr(module, "IDLE_SECONDS", -1)
    watched, unwatched = await started(logs, 3), await started(logs, 3)
    await mirrors.refresh([watched.task_id, unwatched.task_id])
    mirror = mirrors.get(watched.task_id)
    assert mirror
    with Follower(mirror.log, 0):
        mirrors.drop_idle()
        assert mirrors.get(watched.task_id) is mirror
        assert mirrors.get(unwatched.task_id) is None
    mirrors.drop_idle()
    assert mirrors.get(watched.task_id) is None
    await mirrors.refresh([watched.task_id])
    again = mirrors.get(watched.task_id)
    assert again
    assert again.log.after(0) == mirror.log.after(0)


async def test_a_mirror_misses_what_was_trimmed(
    logs: RedisLogs, mirrors: Mirrors, redis_server: RedisServer
) -> None:
    """A mirror that was not refreshed for too long goes on with the oldest event there is."""
    task = await started(logs, events=3)
    await mirrors.refresh([task.task_id])
    for _ in range(7):
        await report(logs, task)
    with Redis.from_url(redis_server.url) as redis:
        redis.xtrim(LOG + task.task_id, maxlen=4, approximate=False)
    await mirrors.refresh([task.task_id])
    mirror = mirrors.get(task.task_id)
    assert mirror
    events, last_id = mirror.log.after(3)
    assert [line for line in events.split(b"\n") if line.startswith(b"id: ")] == [
        b"id: %d" % event_id for event_id in (7, 8, 9, 10)
    ]
    assert last_id == 10


async def test_a_mirror_of_what_was_lost(
    logs: RedisLogs, mirrors: Mirrors, redis_server: RedisServer
) -> None:
    """When Redis has lost events, or all of a log, viewers are let go, to come back to what there is."""
    task = await started(logs, events=5)
    await mirrors.refresh([task.task_id])
    mirror = mirrors.get(task.task_id)
    assert mirror
    with Redis.from_url(redis_server.url) as redis:
        redis.xdel(LOG + task.task_id, "5-0", "4-0")
        with Follower(mirror.log, 5) as viewer:
            await mirrors.refresh([task.task_id])
            assert await viewer.read() == b""
        again = mirrors.get(task.task_id)
        assert again
        assert again.log.last_id == 3
        redis.delete(LOG + task.task_id)
    await mirrors.refresh([task.task_id])
    assert again.log.closed
    assert mirrors.get(task.task_id) is None
