"""What is written to Redis, and read from it, is bounded; and a log that can't be read fails alone."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest
from redis import Redis

from taskstream.bridge import Reporter
from taskstream.events import Event, Kind, TaskStatus
from taskstream.redis.delivery import BATCH, Delivery
from taskstream.redis.logs import PAGE_BYTES, Page, Position, RedisLogs
from taskstream.redis.mirrors import Mirrors
from taskstream.settings import Settings
from tests.redis.conftest import NAMESPACE, append, everything, mirror_of, new_task

pytestmark = pytest.mark.slow


# Delivery


async def test_more_than_redis_can_take(
    logs: RedisLogs, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that never awaits is bounded by the history; what it leaves out takes its numbers."""
    task = await new_task(logs)
    delivery = Delivery(task, logs)
    task.publish(TaskStatus.STARTED, "Started")
    await delivery.next()
    mirror = await mirror_of(mirrors, task)
    batches = []

    async def append(task_id: str, events: Sequence[Event], writer: str, *_: object) -> Position | None:
        batches.append(events)
        return await RedisLogs.append(logs, task_id, events, writer)

    monkeypatch.setattr(logs, "append", append)
    task.log.append(b"", Kind.LOST)
    await delivery.flush()
    assert batches == []
    for number in range(30_000):
        task.append(TaskStatus.PROGRESS, f"Row {number}", number / 300, None, [])
    task.publish(TaskStatus.SUCCESS, "Done")
    await delivery.flush()
    assert sum(map(len, batches)) <= logs.settings.history_length + 1
    assert max(map(len, batches)) == BATCH
    assert max(sum(len(event.data) for event in batch) for batch in batches) < PAGE_BYTES + 1000
    await mirrors.refresh([task.task_id])
    events = everything(mirror)
    assert [event.id for event in events[:2]] == [1, 2]
    assert [event.lost for event in events if event.kind is Kind.LOST] == [range(3, events[3].id)]
    assert [event.id for event in events[3:]] == list(range(events[3].id, 30_005))
    assert events[-1].kind is Kind.LAST


async def test_little_is_said_often(logs: RedisLogs) -> None:
    """What a coroutine says while Redis takes nothing goes to the bounded log, also in small pieces."""
    task = await new_task(logs)
    task.reporter = reporter = Reporter(task, output_queue_length=10)
    reporter.paused = True
    for number in range(101):
        reporter.report(reporter, number, "Going on", "x" * 10_000)
        reporter.output("")
    assert task.snapshot.message == "Going on"


async def test_an_end_that_is_larger_than_a_batch(logs: RedisLogs, mirrors: Mirrors, client: Redis) -> None:
    """A full Redis takes the end of a task, whatever is waiting before it."""
    task = await new_task(logs)
    delivery = Delivery(task, logs)
    task.publish(TaskStatus.STARTED, "Started")
    await delivery.next()
    client.config_set("maxmemory", "1")
    try:
        for _ in range(20):
            task.append_output("x" * 10_000)
        task.publish(TaskStatus.SUCCESS, "Done")
        async with asyncio.timeout(5):
            await delivery.flush()
    finally:
        client.config_set("maxmemory", "0")
    events = everything(await mirror_of(mirrors, task))
    assert [(event.id, event.kind) for event in events] == [(1, ""), (2, ""), (22, "lost"), (23, "last")]


# Pages


async def test_pages_of_large_events(logs: RedisLogs, mirrors: Mirrors, reads: list[list[Page]]) -> None:
    """However large its events and however many the logs, a request reads about as much as any other."""
    tasks = [await new_task(logs) for _ in range(5)]
    for task in tasks:
        await append(logs, task.task_id, *range(2, 12), kind=Kind.OUTPUT, data=b"x" * 30_000)
    await mirrors.refresh([task.task_id for task in tasks])
    for task in tasks:
        assert (await mirror_of(mirrors, task)).log.last_id == 11
    sizes = [sum(len(event.data) for page in pages for event in page.events) for pages in reads]
    assert max(sizes) < PAGE_BYTES + 30_000


async def test_a_slow_line(logs: RedisLogs, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that have come before a request times out are kept, so that the next one gets further."""
    task = await new_task(logs)
    await append(logs, task.task_id, *range(2, 22), kind=Kind.OUTPUT, data=b"x" * 30_000)
    pages_left = 2

    async def read(positions: Sequence[tuple[str, int]]) -> list[Page]:
        nonlocal pages_left
        pages_left -= 1
        if pages_left < 0:
            raise TimeoutError
        return await RedisLogs.read(logs, positions)

    monkeypatch.setattr(logs, "read", read)
    seen = [0]
    while seen[-1] < 21:
        try:
            await mirrors.refresh([task.task_id])
        except TimeoutError:
            pages_left = 2
        mirror = mirrors.get(task.task_id)
        assert mirror
        assert mirror.log.last_id > seen[-1]
        seen.append(mirror.log.last_id)
    assert len(seen) > 3


# Restarts


async def test_late_viewers_after_a_jump(logs: RedisLogs, mirrors: Mirrors, client: Redis) -> None:
    """They are shown all that Redis has, and told what it hasn't; and so are those who were there."""
    task = await new_task(logs)
    early = await mirror_of(mirrors, task)
    say = partial(append, logs, task.task_id, kind=Kind.OUTPUT)
    await say(*range(2, 41))
    client.xadd(
        logs.prefix + task.task_id,
        {"data": "41", "kind": "output", "writer": "me", "count": 41, "history": "before the restart"},
        "41-0",
    )
    await say(42)
    late = await mirror_of(Mirrors(logs, Settings()), task)
    await mirrors.refresh([task.task_id])
    for mirror in (early, late):
        events = everything(mirror)
        assert [event.id for event in events[:41]] == list(range(1, 42))
        assert [event.lost for event in events[41:]] == [range(42, events[-1].id), None]


# Logs that can't be read


@pytest.mark.parametrize("wrong", ["a later version", "another type", "no event"])
async def test_a_log_that_cannot_be_read(
    logs: RedisLogs, mirrors: Mirrors, client: Redis, wrong: str
) -> None:
    """Its own viewers are let go, or see the rest; all others see theirs, and its task can be ended."""
    odd, other = await new_task(logs), await new_task(logs)
    mirror = await mirror_of(mirrors, odd)
    log = logs.prefix + odd.task_id
    match wrong:
        case "a later version":
            client.xadd(log, {"data": "{}", "kind": "later"}, "5-0")
            client.xadd(log, {"data": odd.log.latest, "kind": ""}, "6-0")
        case "another type":
            client.delete(log)
            client.set(log, "x")
        case "no event":
            client.xadd(log, {"field": "value"}, "5-0")
    await logs.append(other.task_id, [Event(2, Kind.LAST, other.log.latest)], "me")
    for _ in range(2):
        await mirrors.refresh([odd.task_id, other.task_id])
    assert (await mirror_of(mirrors, other)).log.ended
    match wrong:
        case "a later version":
            assert [event.id for event in everything(mirror)] == [1, 4, 5, 6]
        case "another type":
            assert mirror.log.closed
            assert mirrors.get(odd.task_id) is None
        case "no event":
            assert [event.id for event in everything(mirror)] == [1, 4, 5]
    client.zincrby(f"{NAMESPACE}:started", -1000, odd.task_id)  # it has waited for a worker
    await logs.call("sweep")
    assert bool(await logs.call("decide", odd.task_id, "REVOKED", "Cancelled")) == (wrong != "another type")
    await logs.call("sweep")


async def test_statuses_are_counted_without_results(logs: RedisLogs) -> None:
    """A status is kept beside each snapshot, and forgotten with it."""
    running, ended = await new_task(logs), await new_task(logs)
    running.publish(TaskStatus.STARTED, '"status":"FAILURE"')
    await logs.append(running.task_id, running.log.events_after(1), "me")
    ended.publish(TaskStatus.SUCCESS, "Done", data="x" * 100_000)
    await logs.append(ended.task_id, ended.log.events_after(1), "me")
    assert sorted(await logs.call("statuses")) == [b"STARTED", b"SUCCESS"]
