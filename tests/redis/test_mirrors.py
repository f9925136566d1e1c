"""What a server knows of tasks that are run elsewhere, against a real Redis."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis import Redis

from taskstream.events import Event, Kind, TaskStatus
from taskstream.redis import mirrors as module
from taskstream.redis.delivery import Delivery
from taskstream.redis.logs import PAGE, Page, RedisLogs
from taskstream.redis.mirrors import Mirrors
from taskstream.tasks import Task
from taskstream.viewers import Follower
from tests.redis.conftest import NAMESPACE, append, everything, mirror_of, new_task

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
    await report(logs, task, events - 1)
    return task


async def report(logs: RedisLogs, task: Task, times: int) -> None:
    for _ in range(times):
        task.publish(TaskStatus.PROGRESS, "")
        await logs.append(task.task_id, task.log.events_after(task.log.last_id - 1), "me")


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
    assert everything(await mirror_of(mirrors, watched)) == everything(mirror)


async def test_a_mirror_misses_what_was_trimmed(logs: RedisLogs, mirrors: Mirrors, client: Redis) -> None:
    """Refreshed after too long, or by a server that is new, it says what is lost, and has what there is."""
    task = await started(logs, events=3)
    mirror = await mirror_of(mirrors, task)
    await report(logs, task, 7)
    client.xtrim(logs.prefix + task.task_id, maxlen=4, approximate=False)
    await mirrors.refresh([task.task_id])
    late = await mirror_of(Mirrors(logs, logs.settings), task)
    for each, seen in ((mirror, 3), (late, 0), (late, 3)):
        lost, *kept = everything(each, after=seen)
        assert lost == Event.of_lost(seen + 1, 6)
        assert [event.id for event in kept] == [7, 8, 9, 10]


async def test_a_log_that_is_nothing_but_output(logs: RedisLogs, mirrors: Mirrors) -> None:
    """Whoever comes when the latest snapshot was trimmed is shown it nevertheless."""
    task = await started(logs)
    await append(logs, task.task_id, *range(2, 402), kind=Kind.OUTPUT)
    mirror = await mirror_of(mirrors, task)
    first, lost, *kept = everything(mirror)
    assert first.snapshot == mirror.snapshot == task.snapshot
    assert lost == Event.of_lost(2, 151)
    assert [event.id for event in kept] == list(range(152, 402))


async def test_a_snapshot_of_an_older_version(logs: RedisLogs, mirrors: Mirrors, client: Redis) -> None:
    """It has one space after its number, and is the same."""
    task = await started(logs)
    await append(logs, task.task_id, 2, kind=Kind.OUTPUT)
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
        lost, found = viewer.take_events()
        assert (lost, found.id) == (Event.of_lost(6, 1000004), 1000005)
        client.delete(log)
        await mirrors.refresh([task.task_id])
        assert await viewer.read() == b""
    assert mirrors.get(task.task_id) is None


async def test_an_end_that_was_lost(logs: RedisLogs, mirrors: Mirrors, client: Redis) -> None:
    """When Redis has lost the end of a task, which runs again then, nobody is shown both ends."""
    task = await started(logs, events=3)
    log = logs.prefix + task.task_id
    client.xadd(log, {"data": task.log.latest, "kind": "last"}, "4-0")
    mirror = await mirror_of(mirrors, task)
    client.xdel(log, "4-0")
    client.xadd(log, {"data": task.log.latest, "kind": ""}, "1000005-0")
    again = await mirror_of(mirrors, task)
    assert [event.id for event in everything(mirror, after=1)] == [2, 3, 4]
    assert [event.id for event in everything(again, after=1)] == [2, 3, 1000004, 1000005]
    assert (mirror.log.ended, again.log.ended) == (True, False)


async def test_a_long_log_of_which_the_end_was_lost(
    logs: RedisLogs, mirrors: Mirrors, client: Redis, reads: list[list[Page]]
) -> None:
    """A server finds out in a few requests that there is nothing new; and shows output that follows."""
    task = await started(logs, events=2 * PAGE + 50)
    mirror = await mirror_of(mirrors, task)
    log = logs.prefix + task.task_id
    client.xdel(log, *(f"{number}-0" for number in range(2 * PAGE, 2 * PAGE + 51)))
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
    other, watched = await started(logs), await started(logs)
    delivery = Delivery(watched, worker_logs)
    mirror = await mirror_of(listening, watched)
    with Follower(mirror.log, 1) as viewer:

        async def publish(message: str) -> None:
            watched.publish(TaskStatus.PROGRESS, message)
            await delivery.flush()
            assert await viewer.read()
            assert viewer.last_event_id == watched.log.last_id

        await publish("read")
        await publish("read, as the script is new to this Redis")
        with monkeypatch.context() as patch:
            patch.setattr(logs, "read", None)
            await publish("told")
        await publish("x" * 5000)
    assert not mirror.add_next(b"+7 output {}")  # for which it waits until it has the sixth
    assert not mirror.add_next(b"6 7 output {}")  # of an older version, which says what comes before it
    channels = client.pubsub_channels()
    assert logs.prefix + watched.task_id in channels
    assert logs.prefix + other.task_id not in channels
