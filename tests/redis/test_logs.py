"""The logs of tasks in Redis: what holds whoever writes, and however often."""

import asyncio
import time

import pytest
from redis import Redis

from taskstream.events import Event, Kind
from taskstream.idempotency import IdempotencyKey
from taskstream.log import Log
from taskstream.redis.logs import PAGE_BYTES, Position, RedisLogs
from taskstream.redis.worker import Leases
from taskstream.tasks import Task
from tests.redis.conftest import NAMESPACE, append, ids, logs_of
from tests.support.backends import RedisServer

pytestmark = pytest.mark.slow

LOG, STATE = f"{NAMESPACE}:log:", f"{NAMESPACE}:state"
QUEUE = f"{NAMESPACE}:queue"
A, B, C, D = (letter * 32 for letter in "abcd")
"""Ids of tasks."""
PROGRESS = b'{"status":"PROGRESS"}'


async def create(
    logs: RedisLogs, task_id: str, max_tasks: int = 10, key: IdempotencyKey | None = None, **more: float
) -> str:
    """Create a task, and say what became of that."""
    logs.settings = logs.settings.model_copy(update={"max_tasks": max_tasks})
    task = Task(task_id, Log(1))
    task.log.append(b"one")
    outcome, _ = await logs.create(task, f"message {task_id}", key, **more)
    return outcome


def rewind(client: Redis, sorted_set: str, task_id: str) -> None:
    """Let so much time pass that what a task waits for is due."""
    client.zincrby(f"{NAMESPACE}:{sorted_set}", -1000, task_id)


def end_pause(client: Redis) -> None:
    """Have servers sweep for long enough to expect every worker back."""
    client.hset(STATE, mapping={"swept_at": time.time(), "grace_until": 0})


async def test_large_events_are_trimmed(redis_server: RedisServer, client: Redis) -> None:
    """A log takes about as much memory as it may, and always has its latest event."""
    logs = logs_of(redis_server.url, history_bytes=100_000)
    await create(logs, A)
    for start in range(2, 1002, 20):
        large = [Event(number, Kind.OUTPUT, b"x" * 2000) for number in range(start, start + 20)]
        await logs.append(A, large, "me")
    kept = await ids(logs, A, 1)
    assert kept == list(range(1002 - len(kept), 1002))
    assert 30 < len(kept) < 50
    usage = client.memory_usage(LOG + A)
    assert usage
    assert usage < 150_000
    await logs.append(A, [Event(1002, Kind.OUTPUT, b"x" * 1_000_000)], "me")
    kept = await ids(logs, A, 1)
    assert kept[-1] == 1002
    assert len(kept) < 5
    await logs.aclose()


async def test_an_event_that_follows(logs: RedisLogs, worker_logs: RedisLogs, client: Redis) -> None:
    """It is appended in fewer steps, as long as nothing else has happened to the task."""

    async def start(status: bytes = b"PROGRESS") -> Position | None:
        client.flushall()
        await create(logs, A)
        return await worker_logs.append(
            A, [Event(2, Kind.SNAPSHOT, PROGRESS.replace(b"PROGRESS", status))], "me"
        )

    async def follow(
        before: Position | None, count: int = 3, kind: Kind = Kind.SNAPSHOT, data: bytes = PROGRESS
    ) -> tuple[Position | None, bool]:
        """Where it is now, and whether it took the fewer steps."""
        assert before
        client.config_resetstat()
        position = await worker_logs.append(A, [Event(count, kind, data)], "me", before)
        return position, "cmdstat_time" not in client.info("commandstats")

    before = await start()
    client.script_flush()
    third, short = await follow(before)
    assert not short  # Redis doesn't know the script
    worker_logs.settings = logs.settings.model_copy(update={"history_length": 3})
    fourth, short = await follow(third, 4)
    assert short
    assert await ids(logs, A) == [2, 3, 4]
    assert await logs.call("latest", A) == [b"4", PROGRESS, b""]
    assert not (await follow(third, 4))[1]  # it is there
    assert await append(logs, A, 5)
    assert not (await follow(fourth, 5))[1]
    assert not (await follow(await start(b"STARTED")))[1]  # the status is another one
    assert (await follow(await start(b"STARTED"), kind=Kind.OUTPUT))[1]
    for wrong in (
        {"kind": Kind.LAST},
        {"kind": Kind.OUTPUT, "data": b"x" * (PAGE_BYTES + 1)},
        {"count": 4},  # what is left out takes its number
    ):
        assert not (await follow(await start(), **wrong))[1]
    assert await ids(logs, A) == [1, 2, 4]
    before = await start()
    client.client_kill_filter(_type="normal", skipme=True)
    assert not (await follow(before))[1]
    for happened in (
        lambda: logs.call("decide", A, "REVOKED", "Cancelled"),
        lambda: append(logs, A, 3, last=True),
        lambda: asyncio.to_thread(client.delete, LOG + A),
    ):
        before = await start()
        await happened()
        assert await follow(before) == (None, False)


async def test_a_redis_that_stops_answering_while_it_learns(
    logs: RedisLogs, worker_logs: RedisLogs, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker waits for it no longer than for other answers, and then appends as it did before."""
    await create(logs, A)
    position = await worker_logs.append(A, [Event(2, Kind.OUTPUT, b"{}")], "me")
    client.script_flush()
    learn, asked = worker_logs.redis.script_load, []

    async def learn_later(script: str) -> str:
        asked.append(script)
        if len(asked) == 1:
            await asyncio.Event().wait()
        return str(await learn(script))

    monkeypatch.setattr(worker_logs.redis, "script_load", learn_later)
    async with asyncio.timeout(10):
        assert await worker_logs.append(A, [Event(3, Kind.OUTPUT, b"{}")], "me", position)


async def test_of_many_last_events_one_wins(logs: RedisLogs) -> None:
    """However many end a task at the same time, it ends once."""
    await create(logs, A)
    ends = [append(logs, A, 2, writer=str(number), last=True) for number in range(50)]
    assert sum(await asyncio.gather(*ends)) == 1
    assert await ids(logs, A) == [1, 2]
    assert await logs.call("count") == [1, 0]


async def test_what_is_sent_again_counts_once(logs: RedisLogs, client: Redis) -> None:
    """After a lost reply the same may be sent again, with what has come since."""
    for _ in range(2):
        assert await create(logs, A) == "created"
    assert client.lrange(QUEUE, 0, -1) == [f"message {A}"]
    for _ in range(2):
        assert await append(logs, A, 2, 3)
    assert await append(logs, A, 3, 4)
    assert await ids(logs, A) == [1, 2, 3, 4]
    assert not client.exists(f"{NAMESPACE}:messages", f"{NAMESPACE}:due")  # nor is it queued again


async def test_what_was_forgotten_stays_forgotten(logs: RedisLogs, client: Redis) -> None:
    """A late writer doesn't bring back a log that was deleted, and nothing else of it stays."""
    await create(logs, A)
    client.delete(LOG + A)
    assert not await append(logs, A, 2)
    assert await logs.call("decide", A, "REVOKED", "Cancelled") is None
    assert client.keys() == []


async def test_places(logs: RedisLogs, client: Redis) -> None:
    """Running tasks fill the registry; of those that have ended, the one that ended first makes room."""
    for task_id in (A, B, C):
        assert await create(logs, task_id, 3) == "created"
    assert await create(logs, D, 3) == "full"
    assert client.llen(QUEUE) == 3
    for task_id in (B, A):
        await append(logs, task_id, 2, last=True)
    assert await create(logs, D, 3) == "created"
    assert await logs.call("latest", B) is None
    assert await logs.call("latest", A) == [b"2", b"event 2", b""]
    assert await logs.call("count") == [3, 2]


async def test_retention(redis_server: RedisServer, client: Redis) -> None:
    """An ended task counts for its time, and so does its key; its log stays until its end can be read."""
    logs = logs_of(redis_server.url, retention_seconds=0)
    for task_id, fingerprint in ((A, "f" * 64), (B, "0" * 64)):
        key = IdempotencyKey("key", fingerprint)
        assert await create(logs, task_id, key=key) == "created"
        await append(logs, task_id, 2, last=True)
    assert await logs.call("count") == [0, 0]
    assert 0 < client.pttl(LOG + A) <= 2000
    client.delete(QUEUE)  # where a worker would have found it
    await logs.call("sweep")
    assert set(client.keys()) == {LOG + A, LOG + B, STATE}
    await logs.aclose()


async def test_a_start_that_nobody_waits_for(logs: RedisLogs, client: Redis) -> None:
    """What Redis hears of only after the client was told that it failed starts nothing."""
    assert await create(logs, A, deadline=time.time() - 1) == "late"
    assert await logs.call("latest", A) is None
    assert not client.exists(QUEUE)


async def test_a_refused_start_keeps_no_key(logs: RedisLogs) -> None:
    """The same key may start a task once there is room."""
    await create(logs, A)
    await create(logs, B)
    key = IdempotencyKey("key", "f" * 64)
    assert await create(logs, C, 2, key) == "full"
    await append(logs, A, 2, last=True)
    assert await create(logs, D, 2, key) == "created"


# Tasks whose worker is lost, or which no worker has got


async def test_leases(logs: RedisLogs, leases: Leases, client: Redis) -> None:
    """Whoever holds a task learns that it has ended; the task of a lease that isn't renewed has to end."""
    assert not leases.renew(A)
    await create(logs, A)
    await append(logs, A, 2)
    assert leases.renew(A)
    end_pause(client)
    assert (await logs.call("sweep"))[1] == []
    rewind(client, "leases", A)
    [lost] = (await logs.call("sweep"))[1]
    assert lost == [A.encode(), b"FAILURE", b"worker lost", b"2", b"event 2"]


@pytest.mark.parametrize("clock_seconds", [13, -3600])
async def test_after_a_pause_nobody_is_lost(logs: RedisLogs, client: Redis, clock_seconds: float) -> None:
    """When all stood still, or Redis' clock was set, workers get their time to renew their leases."""
    await create(logs, A)
    await append(logs, A, 2)
    end_pause(client)
    await logs.call("sweep")
    rewind(client, "leases", A)
    client.hincrbyfloat(STATE, "swept_at", -clock_seconds)
    assert (await logs.call("sweep"))[1] == []
    grace_seconds = float(client.hget(STATE, "grace_until") or 0) - time.time()
    assert 9 < grace_seconds <= 10
    client.hset(STATE, "grace_until", time.time())
    assert [decision[0] for decision in (await logs.call("sweep"))[1]] == [A.encode()]


async def test_a_task_that_a_worker_holds_is_not_queued_again(
    logs: RedisLogs, leases: Leases, client: Redis
) -> None:
    """Not while its lease lasts; but then, if it has not begun, it isn't lost either."""
    await create(logs, A)
    client.delete(QUEUE)
    assert leases.renew(A)
    end_pause(client)
    rewind(client, "due", A)
    await logs.call("sweep")
    assert not client.exists(QUEUE)
    rewind(client, "leases", A)
    assert (await logs.call("sweep"))[1] == []
    rewind(client, "due", A)
    await logs.call("sweep")
    assert client.lrange(QUEUE, 0, -1) == [f"message {A}"]


async def test_what_has_waited_for_a_worker(logs: RedisLogs, client: Redis) -> None:
    """It says so, once, unless a worker is there."""
    await create(logs, A)
    assert (await logs.call("sweep"))[1] == []
    rewind(client, "started", A)
    client.set(f"{NAMESPACE}:worker", "")
    assert (await logs.call("sweep"))[1:] == [[], b""]
    client.delete(f"{NAMESPACE}:worker")
    [decision], warning = (await logs.call("sweep"))[1:]
    assert decision == [A.encode(), b"PENDING", b"Waiting to start. " + warning, b"1", b"one"]
    assert await append(logs, A, 2, writer="")
    assert (await logs.call("sweep"))[1] == []


async def test_a_decided_end(logs: RedisLogs, leases: Leases, client: Redis) -> None:
    """From then on a worker appends nothing; the first decision counts, and leaves the queue."""
    await create(logs, A)
    first = await logs.call("decide", A, "REVOKED", "Cancelled")
    assert first == [A.encode(), b"REVOKED", b"Cancelled", b"1", b"one"]
    assert not client.exists(QUEUE)
    assert not leases.renew(A)
    assert not await append(logs, A, 2)
    assert await logs.call("decide", A, "FAILURE", "worker lost") == first
    for _ in range(2):  # until it has been carried out, should the server have died that decided it
        assert (await logs.call("sweep"))[1] == [first]
    assert await append(logs, A, 2, writer="", last=True)
    assert (await logs.call("sweep"))[1] == []
    assert await logs.call("decide", A, "REVOKED", "Cancelled") is None
