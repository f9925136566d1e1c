"""The logs of tasks when Redis comes back, with all that it had or with less: no number has two values."""

import shutil
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from taskstream.events import Event, Kind, TaskStatus
from taskstream.redis.delivery import carry_out, end_task, find_task
from taskstream.redis.logs import Position, RedisLogs
from tests.redis.conftest import append as append_events, ids, logs_of, new_task
from tests.redis.test_logs import end_pause, rewind
from tests.support.backends import RedisServer

pytestmark = pytest.mark.slow

FAR = 1_000_000_000
"""No task has so many events."""


class Backups:
    """A Redis that can be started again, with what it has or what it had."""

    def __init__(self, folder: Path) -> None:
        self._data, self._copy = folder / "data", folder / "copy"
        self._data.mkdir()
        self.redis = RedisServer(folder=self._data)

    def take(self) -> None:
        """Remember what it has."""
        shutil.copytree(self._data, self._copy)

    def restart(self) -> None:
        """Start it again with all that it has."""
        self.redis.stop()
        self.redis = RedisServer(self.redis.port, self._data)

    def restore(self) -> None:
        """Start it again with what it had when the backup was taken."""
        self.redis.stop()
        shutil.rmtree(self._data)
        shutil.copytree(self._copy, self._data)
        self.redis = RedisServer(self.redis.port, self._data)


@pytest.fixture
def backups(tmp_path: Path) -> Iterator[Backups]:
    backups = Backups(tmp_path)
    yield backups
    backups.redis.process.kill()
    backups.redis.wait()


@pytest.fixture
async def logs(backups: Backups) -> AsyncIterator[RedisLogs]:
    logs = logs_of(backups.redis.url)
    yield logs
    await logs.aclose()


@pytest.fixture
async def task_id(logs: RedisLogs) -> str:
    """A task that waits for a worker."""
    return (await new_task(logs)).task_id


append = partial(append_events, kind=Kind.OUTPUT)


async def test_a_worker_that_goes_on(logs: RedisLogs, backups: Backups, task_id: str) -> None:
    """Its next event is numbered beyond an end that Redis has lost; those that follow have no gap."""
    await append(logs, task_id, 2, 3)
    backups.take()
    await end_task(logs, task_id, TaskStatus.REVOKED, "Cancelled")
    assert await ids(logs, task_id) == [1, 2, 3, 4]
    backups.restore()
    assert await append(logs, task_id, 4)
    assert await append(logs, task_id, 5, 6, last=True)
    *before, fourth, fifth, sixth = await ids(logs, task_id)
    assert before == [1, 2, 3]
    assert fourth > FAR
    assert (fifth, sixth) == (fourth + 1, fourth + 2)
    backups.restore()
    assert await append(logs, task_id, 4)
    assert (await ids(logs, task_id))[-1] > sixth  # which is lost as well


async def test_a_worker_that_begins(logs: RedisLogs, backups: Backups, task_id: str) -> None:
    """A worker that found its task before Redis lost the end of it gives nothing the number of that end."""
    backups.take()
    assert await find_task(logs, task_id)
    await end_task(logs, task_id, TaskStatus.REVOKED, "Cancelled")
    backups.restore()
    assert await append(logs, task_id, 2)
    assert not await append(logs, task_id, 2, writer="who has the message, too")
    first, second = await ids(logs, task_id)
    assert first == 1
    assert second > FAR


async def test_what_is_sent_again(logs: RedisLogs, backups: Backups, task_id: str) -> None:
    """Events whose reply was lost with Redis are in the log once, whether Redis has lost them or not."""
    await append(logs, task_id, 2, 3)
    backups.take()
    await append(logs, task_id, 4)
    backups.restore()
    for _ in range(2):
        assert await append(logs, task_id, 3, 4, 5)
    [page] = await logs.read([(task_id, 1)])
    assert [event.data for event in page.events] == [b"event %d" % count for count in range(2, 6)]


async def test_a_task_that_nobody_runs_any_more(logs: RedisLogs, backups: Backups, task_id: str) -> None:
    """Redis has lost that its worker was done: however late the lease runs out, its end is beyond."""
    await append(logs, task_id, 2)
    backups.take()
    await append(logs, task_id, 3, 4, last=True)
    backups.restore()
    with Redis.from_url(backups.redis.url) as client:
        await logs.call("sweep")
        rewind(client, "leases", task_id)
        end_pause(client)
    [decision] = (await logs.call("sweep"))[1]
    assert await carry_out(logs, decision)
    assert (await ids(logs, task_id))[-1] > FAR


async def test_a_decision_that_was_lost(logs: RedisLogs, backups: Backups, task_id: str) -> None:
    """An end is not appended to what has happened since; who has asked for it decides again."""
    await append(logs, task_id, 2)
    backups.take()
    decision = await logs.call("decide", task_id, "REVOKED", "Cancelled")
    assert decision
    backups.restore()
    assert await append(logs, task_id, 3)
    assert not await carry_out(logs, decision)
    await end_task(logs, task_id, TaskStatus.REVOKED, "Cancelled")
    [page] = await logs.read([(task_id, 0)])
    assert page.events[-1].kind is Kind.LAST
    assert page.events[-1].id == page.events[-2].id + 1


async def test_a_clock_that_is_behind(logs: RedisLogs, backups: Backups, task_id: str) -> None:
    """Numbers never go back, so that Redis takes them, even if a clock does."""
    backups.restart()
    await append(logs, task_id, 2)
    with Redis.from_url(backups.redis.url) as client:
        log = logs.prefix + task_id
        ahead = int((time.time() + 3600) * 1e6)
        fields = {"data": "", "kind": "", "writer": "me", "count": 3, "history": "another"}
        client.xadd(log, fields, f"{ahead}-0")
    assert await append(logs, task_id, 4)
    assert (await ids(logs, task_id))[-1] == ahead + FAR


def replicate(master: Redis, replica: Redis) -> None:
    """Have one Redis copy another once, and be a master again. Fails after ten seconds."""
    master.config_set("repl-diskless-sync-delay", 0)
    replica.replicaof("127.0.0.1", master.get_connection_kwargs()["port"])
    master.set("last", "of all")
    assert master.wait(1, 10_000) == 1
    replica.replicaof("NO", "ONE")


@pytest.fixture
async def replica(backups: Backups, tmp_path: Path) -> AsyncIterator[tuple[Redis, Redis, RedisLogs]]:
    """The Redis that others speak to, another one that may replicate it, and the logs in that."""
    (folder := tmp_path / "replica").mkdir()  # it writes there what it is sent
    with (
        RedisServer(folder=folder) as redis,
        Redis.from_url(backups.redis.url) as first,
        Redis.from_url(redis.url) as second,
    ):
        others = logs_of(redis.url)
        yield first, second, others
        await others.aclose()


async def test_an_event_that_would_follow_what_is_lost(
    logs: RedisLogs, backups: Backups, task_id: str, replica: tuple[Redis, Redis, RedisLogs]
) -> None:
    """On a connection that outlives its loss, a worker's next event keeps its number; others jump."""
    first, second, _ = replica
    worker_logs = logs_of(backups.redis.url, connections=1)

    async def follow(count: int, before: Position | None) -> Position | None:
        return await worker_logs.append(task_id, [Event(count, Kind.OUTPUT, b"said")], "me", before)

    third = await follow(3, await follow(2, None))  # after which Redis knows the script
    replicate(first, second)
    fourth = await follow(4, third)
    assert await ids(logs, task_id) == [1, 2, 3, 4]
    replicate(second, first)
    assert await follow(5, fourth)
    assert await append(logs, task_id, 6)
    *known, jumped = await ids(logs, task_id)
    assert known == [1, 2, 3, 5]
    assert jumped > FAR
    await worker_logs.aclose()


async def test_replicas_that_take_over(
    logs: RedisLogs, task_id: str, replica: tuple[Redis, Redis, RedisLogs]
) -> None:
    """One that lags repeats no number when it takes over; nor does the former master after that."""
    first, second, others = replica
    await append(logs, task_id, 2)
    replicate(first, second)
    await append(logs, task_id, 3)  # which the replica doesn't have
    replicate(second, first)
    await append(others, task_id, 3, 4)  # which the former master doesn't have
    await append(logs, task_id, 3)
    [first_of_replica, last_of_replica] = (await ids(others, task_id))[2:]
    [after_all] = (await ids(logs, task_id))[2:]
    assert after_all > last_of_replica > first_of_replica > FAR
