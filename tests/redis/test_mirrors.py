"""What a server knows of tasks that are run elsewhere, against a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from redis import Redis

from taskstream.events import Event, Kind, TaskStatus
from taskstream.redis import mirrors as module
from taskstream.redis.delivery import Delivery, find_task
from taskstream.redis.logs import PAGE, Page, RedisLogs
from taskstream.redis.mirrors import Mirrors
from taskstream.tasks import Task
from taskstream.viewers import Follower
from tests.redis.conftest import NAMESPACE, mirror_of, new_task

pytestmark = pytest.mark.slow


@pytest.fixture
async def listening(logs: RedisLogs, mirrors: Mirrors) -> AsyncIterator[Mirrors]:
    """Mirrors that are kept up to date."""
    steps = (mirrors.notifications.listen, mirrors.notifications.subscribe, mirrors.refresh_stale)
    owned = [asyncio.create_task(logs.availability.repeat(step)) for step in steps]
    yield mirrors
    for each in owned:
        each.cancel()
    await asyncio.wait(owned)


async def started(logs: RedisLogs, events: int = 1) -> Task:
    """A task with so many events in Redis, as its worker knows it."""
    task = await new_task(logs)
    for _ in range(events - 1):
        await report(logs, task)
    return task


async def report(logs: RedisLogs, task: Task, status: TaskStatus = TaskStatus.PROGRESS) -> None:
    task.publish(status, "")
    kind = Kind.LAST if task.log.ended else Kind.SNAPSHOT
    await logs.append(task.task_id, [Event(task.log.last_id, kind, task.log.latest)], "me")


def ids(events: bytes) -> list[int]:
    return [int(line[4:]) for line in events.split(b"\n") if line.startswith(b"id: ")]


async def test_a_mirror_is_dropped(
    logs: RedisLogs, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror that nobody watches or asks for is dropped, and read again when somebody asks."""
    monkeypatch.setattr(module, "IDLE_SECONDS", -1)
    watched, unwatched = await started(logs, 3), await started(logs, 3)
    await mirror_of(mirrors, unwatched)
    mirror = await mirror_of(mirrors, watched)
    with Follower(mirror.log, 0):
        mirrors.check_all()
        assert mirrors.get(watched.task_id) is mirror
        assert mirrors.get(unwatched.task_id) is None
    mirrors.check_all()
    assert mirrors.get(watched.task_id) is None
    again = await mirror_of(mirrors, watched)
    assert again.log.after(0) == mirror.log.after(0)


async def test_a_mirror_misses_what_was_trimmed(logs: RedisLogs, mirrors: Mirrors, client: Redis) -> None:
    """A mirror that was not refreshed for too long says what is lost, and goes on with what there is."""
    task = await started(logs, events=3)
    mirror = await mirror_of(mirrors, task)
    for _ in range(7):
        await report(logs, task)
    client.xtrim(logs.prefix + task.task_id, maxlen=4, approximate=False)
    await mirrors.refresh([task.task_id])
    events, last_id = mirror.log.after(3)
    assert events.startswith(b'event: lost\ndata: {"from":4,"to":6}\n\n')
    assert ids(events) == [7, 8, 9, 10]
    assert last_id == 10


async def test_a_log_that_is_nothing_but_output(logs: RedisLogs, mirrors: Mirrors) -> None:
    """Whoever comes when the latest snapshot was trimmed is shown it nevertheless."""
    task = await started(logs)
    for number in range(2, 402, 100):
        output = [Event(number + i, Kind.OUTPUT, b'{"text":"."}') for i in range(100)]
        await logs.append(task.task_id, output, "me")
    mirror = await mirror_of(mirrors, task)
    assert mirror.snapshot == task.snapshot
    assert mirror.log.last_id == 401
    events, _ = mirror.log.after(0)
    assert events.startswith(b'id: 1\ndata: {"task_id":')
    assert b'\n\nevent: lost\ndata: {"from":2,"to":151}\n\nid: 152\n' in events


async def test_a_snapshot_of_an_older_version(logs: RedisLogs, mirrors: Mirrors, client: Redis) -> None:
    """It has one space after its number, and is the same."""
    task = await started(logs)
    await logs.append(task.task_id, [Event(2, Kind.OUTPUT, b"")], "me")
    client.xdel(logs.prefix + task.task_id, "1-0")
    [page] = await logs.read([(task.task_id, 0)])
    client.hset(f"{NAMESPACE}:snapshots", task.task_id, b"1 " + task.log.latest)
    assert await logs.read([(task.task_id, 0)]) == [page]
    assert (await mirror_of(mirrors, task)).snapshot == task.snapshot


async def test_a_mirror_of_what_was_lost(logs: RedisLogs, mirrors: Mirrors, client: Redis) -> None:
    """When Redis has lost events, viewers stay for what follows; when all of a log, they are let go."""
    task = await started(logs, events=5)
    mirror = await mirror_of(mirrors, task)
    log = logs.prefix + task.task_id
    client.xdel(log, "5-0", "4-0")
    with Follower(mirror.log, 5) as viewer:
        await mirrors.refresh([task.task_id])
        assert mirrors.get(task.task_id) is mirror
        assert mirror.log.last_id == 5
        client.xadd(log, {"data": task.log.latest, "kind": ""}, "1000005-0")
        await mirrors.refresh([task.task_id])
        events = await viewer.read()
        assert b'data: {"from":6,"to":1000004}' in events
        assert ids(events) == [1000005]
        client.delete(log)
        await mirrors.refresh([task.task_id])
        assert await viewer.read() == b""
    assert mirrors.get(task.task_id) is None


async def test_a_long_log_of_which_the_end_was_lost(
    logs: RedisLogs, mirrors: Mirrors, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server finds out in a few requests that there is nothing new; and shows output that follows."""
    task = await started(logs, events=2 * PAGE + 50)
    mirror = await mirror_of(mirrors, task)
    log = logs.prefix + task.task_id
    client.xdel(log, *(f"{number}-0" for number in range(2 * PAGE, 2 * PAGE + 51)))
    reads = []

    async def read(positions: Sequence[tuple[str, int]]) -> list[Page]:
        reads.append(positions)
        return await RedisLogs.read(logs, positions)

    monkeypatch.setattr(logs, "read", read)
    for _ in range(3):
        reads.clear()
        await mirrors.refresh([task.task_id])
        assert len(reads) < 5
    for number in (1000005, 1000006):
        client.xadd(log, {"data": '{"text":"."}', "kind": "output"}, f"{number}-0")
        await mirrors.refresh([task.task_id])
        assert mirror.log.last_id == number
    client.delete(log)
    for _ in range(2):
        await mirrors.refresh([task.task_id])
    assert mirrors.get(task.task_id) is None


async def test_notifications_come_for_what_is_watched(
    logs: RedisLogs,
    worker_logs: RedisLogs,
    listening: Mirrors,
    client: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server is told of the tasks that it mirrors, and of no others; what is large it reads."""
    other = await started(logs)
    watched = await find_task(worker_logs, (await new_task(logs)).task_id)
    assert watched
    delivery = Delivery(watched, worker_logs)

    async def publish(message: str) -> None:
        watched.publish(TaskStatus.PROGRESS, message)
        await delivery.flush()

    mirror = await mirror_of(listening, watched)
    with Follower(mirror.log, 1) as viewer:
        await publish("read")
        assert ids(await viewer.read()) == [2]
        await publish("read, as the script is new to this Redis")
        assert ids(await viewer.read()) == [3]
        with monkeypatch.context() as patch:
            patch.setattr(logs, "read", None)
            await publish("told")
            assert ids(await viewer.read()) == [4]
        await publish("x" * 5000)
        assert ids(await viewer.read()) == [5]
    assert not mirror.add_next(b"+7 output {}")  # for which it waits until it has the sixth
    assert not mirror.add_next(b"6 7 output {}")  # of an older version, which says what comes before it
    channels = client.pubsub_channels()
    assert logs.prefix + watched.task_id in channels
    assert logs.prefix + other.task_id not in channels
