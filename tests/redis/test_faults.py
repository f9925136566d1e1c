"""What may go wrong between servers, workers and Redis: no task and no event is lost."""

import asyncio
import os
import signal
import time
from pathlib import Path

import aiohttp
import pytest
from redis import Redis

from taskstream.redis.queue import create_celery
from tests.conftest import Start
from tests.redis.conftest import Line
from tests.support.api import LONG_TASK, Api, check_story, events
from tests.support.backends import OwnServer, RedisServer, Worker, sharing_server

pytestmark = pytest.mark.slow

FOUND_SECONDS = 30
"""How long a task may wait whose message was lost."""


# Messages


async def test_a_message_that_a_dead_worker_took(
    redis: RedisServer, api: Api, start: Start, own_client: Redis
) -> None:
    """A task whose message was taken from the queue, but not begun, is run by another worker."""
    deaf = start(Worker(redis.url, processes=1))
    while own_client.info("clients")["blocked_clients"] == 0:  # it waits for a message
        pass
    os.killpg(deaf.process.pid, signal.SIGSTOP)
    task_id = (await api.start(seconds=0))["task_id"]
    assert own_client.llen("taskstream:queue") == 0
    deaf.kill()
    start(Worker(redis.url, processes=1))
    async with asyncio.timeout(FOUND_SECONDS):
        check_story(await api.watch(task_id), "SUCCESS")


async def test_a_message_that_comes_twice(
    redis: RedisServer, own_server: Api, start: Start, own_client: Redis, tmp_path: Path
) -> None:
    """However many workers get a task, one begins it."""
    api = own_server
    file = tmp_path / "runs"
    task_id = (await api.start(work="count_runs", file=str(file), seconds=0.5))["task_id"]
    message = own_client.lindex("taskstream:queue", 0)
    for _ in range(7):
        own_client.lpush("taskstream:queue", str(message))
    start(Worker(redis.url, processes=4, module="tests.redis.own_app"))
    check_story(await api.watch(task_id), "SUCCESS")
    check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")
    assert len(file.read_text(encoding="ascii").splitlines()) == 1


async def test_a_worker_whose_connections_are_half_open(api: Api, start: Start, line: Line) -> None:
    """It comes back by itself."""
    start(Worker(line.url, processes=1))
    check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")
    line.mute()
    task_id = (await api.start(seconds=0))["task_id"]
    async with asyncio.timeout(FOUND_SECONDS):
        check_story(await api.watch(task_id), "SUCCESS")


async def test_a_worker_whose_connections_are_cut(api: Api, start: Start, line: Line) -> None:
    """What it sends again is there once; and it comes back for the next task."""
    start(Worker(line.url, processes=1))
    running = (await api.start(seconds=4, steps=400))["task_id"]
    await api.until(running, "PROGRESS")
    watching = asyncio.create_task(api.watch(running))
    for _ in range(10):
        line.cut()
        await asyncio.sleep(0.2)
    stream = await watching
    check_story(stream, "SUCCESS")
    assert len(stream) == 403
    async with asyncio.timeout(FOUND_SECONDS):
        check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")


async def test_a_worker_whose_subscription_is_cut(
    redis: RedisServer, cluster: Api, own_client: Redis
) -> None:
    """What is started at that moment is run at once, and commands reach the worker again."""
    for _ in range(3):
        own_client.client_kill_filter(_type="pubsub")
        async with asyncio.timeout(3):
            check_story(await cluster.watch((await cluster.start(seconds=0))["task_id"]), "SUCCESS")
    assert create_celery(redis.url, "taskstream").control.ping()


# Connections of a server


async def test_resets_are_hidden(cluster: Api, own_client: Redis) -> None:
    """However often a server's connections are reset, no client of it notices."""
    api = cluster
    task_id = (await api.start(seconds=30, steps=300))["task_id"]
    await api.until(task_id, "PROGRESS")
    watching = asyncio.create_task(api.watch(task_id))
    for _ in range(40):
        asking = [api.status(task_id) for _ in range(10)] + [api.json("GET", "/health") for _ in range(10)]
        own_client.client_kill_filter(_type="normal", skipme=True)
        own_client.client_kill_filter(_type="pubsub")
        await asyncio.gather(*asking)
    assert not watching.done()
    await api.cancel(task_id)
    check_story(await watching, "REVOKED")


async def test_never_less_than_was_seen(
    redis: RedisServer, api: Api, start: Start, session: aiohttp.ClientSession, line: Line
) -> None:
    """A server that doesn't know what a viewer has seen elsewhere waits a moment, then says so."""
    behind = Api(session, [start(sharing_server(line.url)).url])
    start(Worker(redis.url, processes=1))
    task_id = (await api.start(**LONG_TASK))["task_id"]
    path = f"/task-progress/{task_id}"
    async with behind.open(path) as watching, api.open(path) as response:
        while (await anext(events(watching))).id < 3:  # its mirror stays, as somebody watches it
            pass
        line.damage.refuses = True
        line.cut()
        seen = events(response)
        while (last_id := (await anext(seen)).id) < 30:
            pass
        began = time.monotonic()
        async with behind.open(path, last_id) as refused:
            assert refused.status == 503
            assert int(refused.headers["Retry-After"]) > 0
        assert time.monotonic() - began < 4
        assert (await behind.status(task_id))["status"] == "PROGRESS"  # no viewer: as it was, then
        asyncio.get_running_loop().call_later(0.5, setattr, line.damage, "refuses", False)
        async with behind.open(path, last_id) as resumed:
            assert (await anext(events(resumed))).id == last_id + 1


# Tight loops, far away


async def test_cancel_a_tight_loop_from_far_away(
    redis: RedisServer, start: Start, session: aiohttp.ClientSession, line: Line
) -> None:
    """However fast the work is, and however slow the server's line, cancelling is settled at once."""
    line.damage.delay_seconds = 0.01
    api = Api(session, [start(OwnServer("--redis-url", line.url)).url])
    start(Worker(redis.url, 1, module="tests.redis.own_app"))
    task_id = (await api.start(work="tight_loop", updates=10_000_000))["task_id"]
    while (await api.status(task_id))["status"] != "PROGRESS":
        pass
    async with asyncio.timeout(2):
        assert (await api.cancel(task_id))["status"] == "REVOKED"
    assert (await api.status(task_id))["status"] == "REVOKED"
    async with asyncio.timeout(10):  # the worker is free again
        check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")


# Redis itself


async def test_a_full_redis(cluster: Api, own_client: Redis) -> None:
    """Servers say what it is; no worker dies of it, and no task is lost: one picked up begins later."""
    api = cluster
    running = (await api.start(seconds=2, steps=4))["task_id"]
    picked_up, queued = [(await api.start(seconds=0))["task_id"] for _ in range(2)]
    await api.until(running, "PROGRESS")
    own_client.config_set("maxmemory", "1")
    for method, path in (("POST", "/start-task"), ("GET", "/health")):
        answer = await api.json(method, path, 503)
        assert answer["detail"].startswith("Redis is full")
    async with asyncio.timeout(10):
        check_story(await api.watch(running), "SUCCESS")
    async with asyncio.timeout(10):
        while own_client.llen("taskstream:queue") > 1:
            await api.status(picked_up)
    assert (await api.status(picked_up))["status"] == "PENDING"
    assert (await api.cancel(queued))["status"] == "REVOKED"
    own_client.config_set("maxmemory", "0")
    async with asyncio.timeout(FOUND_SECONDS):
        check_story(await api.watch(picked_up), "SUCCESS")
        check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")


WAITING = "this worker waits until that is over"


def check_waiting(worker: Worker, own_client: Redis, times: int = 1) -> None:
    """A worker that waits says so once, and keeps no connections, however often it asks Redis."""
    refused = own_client.info("commandstats")["cmdstat_setrange"]["rejected_calls"]
    while own_client.info("commandstats")["cmdstat_setrange"]["rejected_calls"] < refused + 3:
        pass
    assert worker.output.count(WAITING) == times
    assert worker.output.count("Cannot connect") == worker.output.count("Traceback") == 0
    assert own_client.info("clients")["connected_clients"] < 20


@pytest.mark.parametrize(
    ("setting", "words"), [("maxmemory", "Redis is full"), ("min-replicas-to-write", "NOREPLICAS")]
)
async def test_a_worker_waits_while_redis_refuses_changes(
    redis: RedisServer, api: Api, start: Start, own_client: Redis, setting: str, words: str
) -> None:
    """When it is started, and when it reconnects, also with a task that it runs; no task is lost."""
    first = (await api.start(seconds=0))["task_id"]
    own_client.config_set(setting, "1")
    worker = start(Worker(redis.url, processes=2, until=f"{words}.*{WAITING}"))
    check_waiting(worker, own_client)
    own_client.config_set(setting, "0")
    await api.status(first)  # over a new connection, if the server has closed the one before meanwhile
    running = (await api.start(seconds=3, steps=6))["task_id"]
    await api.until(running, "PROGRESS")
    own_client.config_set(setting, "1")
    own_client.client_kill_filter(_type="normal", skipme=True)
    own_client.client_kill_filter(_type="pubsub", skipme=True)
    worker.wait_for(f"{words}.*{WAITING}")
    check_waiting(worker, own_client, times=2)
    own_client.config_set(setting, "0")
    async with asyncio.timeout(FOUND_SECONDS):
        for task_id in (first, running):
            check_story(await api.watch(task_id), "SUCCESS")
        check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")


async def test_all_is_suspended(redis: RedisServer, start: Start, session: aiohttp.ClientSession) -> None:
    """A laptop's lid was closed for longer than a lease lasts: every task goes on."""
    server = start(sharing_server(redis.url))
    api = Api(session, [server.url])
    worker = start(Worker(redis.url, processes=1))
    task_id = (await api.start(seconds=18, steps=180))["task_id"]
    await api.until(task_id, "PROGRESS")
    os.killpg(worker.process.pid, signal.SIGSTOP)
    for each in (server, redis):
        each.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(13)
    for each in (redis, server):
        each.process.send_signal(signal.SIGCONT)
    await asyncio.sleep(3)  # the server sweeps before the worker is back
    os.killpg(worker.process.pid, signal.SIGCONT)
    check_story(await api.watch(task_id), "SUCCESS")
