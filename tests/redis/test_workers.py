"""What workers are sent, what they say of what they can't run to its end, and what doesn't end them."""

import asyncio
import json
import signal
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from taskstream import TaskStream
from taskstream.redis import queue
from taskstream.redis.messages import QUEUE, celery_message, run_name
from taskstream.redis.queue import TaskConsumer, create_celery
from taskstream.redis.worker import Worker as CeleryWorker
from tests.conftest import Start
from tests.redis.conftest import NAMESPACE
from tests.support.api import Api, check_story
from tests.support.backends import RedisServer, Worker

pytestmark = pytest.mark.slow


TASK_ID = "a" * 32


def message(text: str) -> dict[str, Any]:
    """A message without what differs from one to the next, and with its body decoded."""
    fields: dict[str, Any] = json.loads(text)
    fields["body"] = json.loads(b64decode(fields["body"]))
    for name in ("origin", "argsrepr"):
        assert isinstance(fields["headers"].pop(name), str)
    for name in ("delivery_tag", "reply_to"):
        assert isinstance(fields["properties"].pop(name), str)
    return fields


def test_it_is_as_if_celery_had_sent_it(redis_server: RedisServer, client: Redis) -> None:
    """Each field that Celery and kombu send is there, and each means the same."""
    parameters = json.dumps({"name": "Käse"})
    celery = create_celery(redis_server.url, NAMESPACE)
    celery.send_task(run_name(NAMESPACE), args=("work", parameters), task_id=TASK_ID, ignore_result=True)
    celery.close()
    sent = client.lpop(f"{NAMESPACE}:{QUEUE}")
    assert isinstance(sent, str)
    assert message(celery_message(TASK_ID, NAMESPACE, "work", parameters)) == message(sent)


@pytest.mark.parametrize(
    "body",
    [
        {"work": "wait_for_ever"},
        {"work": "tight_loop", "updates": 1_000_000_000},
        {"work": "hot_loop", "reports": 1_000_000_000},
    ],
    ids=["a coroutine", "a generator", "a function"],
)
async def test_the_soft_time_limit(
    redis: RedisServer, own_server: Api, start: Start, body: dict[str, Any]
) -> None:
    """It stops the work, whose task has failed then and says why; the one process runs others."""
    api = own_server
    start(Worker(redis.url, 1, "tests.redis.own_app", flags=("--soft-time-limit", "2")))
    task_id = (await api.start(**body))["task_id"]
    end = (await api.overview(task_id))[-1].snapshot
    assert (end["status"], end["message"]) == ("FAILURE", "It took longer than its soft time limit")
    check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")


async def test_the_soft_time_limit_of_a_thread(
    redis: RedisServer, own_server: Api, start: Start, tmp_path: Path
) -> None:
    """Its work has stopped when the failure is told."""
    api, file = own_server, tmp_path / "beats"
    start(Worker(redis.url, 1, "tests.redis.own_app", flags=("--soft-time-limit", "2")))
    *_, end = await api.overview((await api.start(work="beat", file=str(file)))["task_id"])
    beats = file.stat().st_size
    assert end.snapshot["status"] == "FAILURE"
    check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")
    assert file.stat().st_size == beats


async def test_the_soft_time_limit_while_redis_hangs(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops the work nevertheless; the failure is told when that has cleaned up."""
    seen, may_end = asyncio.Queue[str](), asyncio.Event()
    tasks = TaskStream(redis_url=redis.url, namespace=NAMESPACE)

    @tasks.work
    async def wait() -> None:
        seen.put_nowait("begun")
        try:
            await asyncio.Event().wait()
        finally:
            seen.put_nowait("cancelled")
            await may_end.wait()
            seen.put_nowait("cleaned up")

    # As if this were a process of a pool.
    monkeypatch.setattr(queue, "soft_timeout_sighandler", signal.getsignal(signal.SIGUSR1))
    async with tasks, asyncio.timeout(30):
        task_id = (await tasks.start(wait)).task_id
        running = asyncio.create_task(CeleryWorker(tasks)._run(task_id, "wait", "{}"))
        assert await seen.get() == "begun"
        redis.process.send_signal(signal.SIGSTOP)
        signal.raise_signal(signal.SIGUSR1)
        assert await seen.get() == "cancelled"
        redis.process.send_signal(signal.SIGCONT)
        may_end.set()
        assert await seen.get() == "cleaned up"
        await running
        end = await tasks.get(task_id)
        assert (end.status, end.message) == ("FAILURE", "It took longer than its soft time limit")


async def test_the_hard_time_limit(redis: RedisServer, own_server: Api, start: Start) -> None:
    """Work that nothing stops is killed with its process, and has failed at once."""
    api = own_server
    start(Worker(redis.url, 1, "tests.redis.own_app", flags=("--time-limit", "1")))
    stream = await api.watch((await api.start(work="sleep", seconds=60.0))["task_id"])
    check_story(stream, "FAILURE")
    assert stream[-1].snapshot["message"] == "It took longer than its time limit of 1 s"
    check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")


@pytest.mark.parametrize("pool", ["threads", "solo"])
async def test_an_exit_in_an_asyncio_task(
    redis: RedisServer, own_server: Api, start: Start, pool: str
) -> None:
    """It is a failure of its task, at once; the one place of the worker is free again."""
    api = own_server
    worker = start(Worker(redis.url, 1, "tests.redis.own_app", flags=("--pool", pool)))
    stream = await api.watch((await api.start(work="exit_in_group"))["task_id"])
    check_story(stream, "FAILURE")
    assert stream[-1].snapshot["message"].startswith("Unexpected SystemExit")
    check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")
    assert "in leave" in worker.output


async def test_a_worker_of_another_version(
    redis: RedisServer, own_server: Api, start: Start, own_client: Redis
) -> None:
    """What it has no work for, or whose parameters it doesn't take, has failed and says why."""
    api = own_server
    missing = (await api.start(work="bars"))["task_id"]
    changed = (await api.start(seconds=0))["task_id"]
    own_client.delete("taskstream:queue")
    own_client.lpush("taskstream:queue", celery_message(missing, "taskstream", "bars", "{}"))
    own_client.lpush(
        "taskstream:queue", celery_message(changed, "taskstream", "simulated", '{"minutes":1}')
    )
    start(Worker(redis.url, 1))
    for task_id, words in (
        (missing, "(work: There is no work called 'bars', only: simulated, scraping)"),
        (changed, "(minutes: Extra inputs are not permitted)"),
    ):
        stream = await api.watch(task_id)
        check_story(stream, "FAILURE")
        assert stream[-1].snapshot["message"] == (
            f"The worker has another version of this work than the server {words}"
        )


async def test_what_is_no_message(redis: RedisServer, api: Api, start: Start, own_client: Redis) -> None:
    """Whatever stands in the queue, a worker drops what is no message, and goes on."""
    worker = start(Worker(redis.url, 1))
    garbage = ["garbage", "\udcff", "1", "null", "[]", "{}", json.dumps({"body": "e30=", "properties": {}})]
    for each in garbage:
        own_client.lpush("taskstream:queue", each.encode("utf-8", "surrogateescape"))
    check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")
    assert worker.output.count("is no message of Celery's, and was dropped") == len(garbage)
    assert "Traceback" not in worker.output


def test_green_threads_are_refused() -> None:
    """A pool of gevent or eventlet gets a sentence."""

    class Pool:
        is_green = True

    with pytest.raises(SystemExit, match="take prefork, threads or solo"):
        TaskConsumer(print, task_events=False, pool=Pool())


def test_work_that_can_not_be_read() -> None:
    """A worker that has such work ends at its start, and not only when it gets a task."""

    async def work(*, own: int) -> None: ...

    work.__annotations__["own"] = "Unknown"
    tasks = TaskStream(redis_url="redis://127.0.0.1:1")
    tasks.work(work)
    with pytest.raises(TypeError, match="has an annotation that can't be read"):
        _ = tasks.celery.main


@pytest.mark.parametrize("namespace", ["", "a:b", "a b", "a*", "{a}", "ä", "a\n"])
async def test_namespaces(namespace: str) -> None:
    """One whose keys could be another's is refused, by servers and workers."""
    tasks = TaskStream(redis_url="redis://127.0.0.1:1", namespace=namespace)
    with pytest.raises(ValueError, match="may have letters, digits"):
        async with tasks:
            pass
    with pytest.raises(ValueError, match="may have letters, digits"):
        _ = tasks.celery.main
