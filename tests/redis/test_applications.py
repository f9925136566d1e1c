"""Applications of one's own over Redis: the same lines, and workers by one command."""

from pathlib import Path

import aiohttp
import pytest
from redis import Redis

from tests.conftest import Start
from tests.docs.pages import blocks
from tests.support.api import Api, check_story
from tests.support.backends import RedisServer, Worker
from tests.support.programs import OwnApp, Program

pytestmark = pytest.mark.slow

PROGRAM = blocks("README.md", "python")[0] + "\ncelery = tasks.celery\n"


class Mine:
    """The program that README begins with, over a Redis: its server and its workers."""

    def __init__(self, start: Start, folder: Path, redis_url: str, settings: str = "") -> None:
        folder.mkdir()
        self._start, self._folder, self._redis_url = start, folder, redis_url
        settings = f"TaskStream(redis_url={redis_url!r}, {settings})"
        self._source = PROGRAM.replace("TaskStream()", settings)

    def server(self) -> str:
        """Start the server; its address."""
        server: OwnApp = self._start(OwnApp(self._folder, self._source))
        return server.url

    def worker(self, *flags: str) -> None:
        """Start a worker."""
        self._start(Worker(self._redis_url, 1, "mine:celery", flags, PYTHONPATH=str(self._folder)))

    def celery(self, *arguments: str) -> Program:
        """Run one of Celery's commands."""
        return Program("-m", "celery", "-A", "mine:celery", *arguments, PYTHONPATH=str(self._folder))


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
async def test_the_first_program(
    redis: RedisServer, start: Start, session: aiohttp.ClientSession, tmp_path: Path, pool: str
) -> None:
    """With a Redis URL, the program that README begins with runs its work in workers, of any pool."""
    mine = Mine(start, tmp_path / "mine", redis.url)
    url = mine.server()
    mine.worker("--pool", pool)
    api = Api(session, [url + "/jobs"])
    stream = await api.watch((await api.start(work="countdown", start=2))["task_id"])
    check_story(stream, "SUCCESS")
    assert [event.snapshot["message"] for event in stream[2:-1]] == ["2 …", "1 …"]
    task_id = (await Api(session, [url]).json("POST", "/albums?images=5", 202))["task_id"]
    stream = await api.watch(task_id)
    check_story(stream, "SUCCESS")
    assert stream[-1].snapshot["data"] == 5


def test_a_worker_needs_a_redis_url(start: Start, tmp_path: Path) -> None:
    """Without one it ends, with a sentence that says what to write."""
    (tmp_path / "mine.py").write_text(PROGRAM, encoding="utf-8")
    worker = start(Program("-m", "celery", "-A", "mine:celery", "worker", PYTHONPATH=str(tmp_path)))
    assert worker.wait(20) != 0
    assert "TaskStream(redis_url=…)" in worker.output
    assert "Traceback" not in worker.output


async def test_applications_that_share_a_redis(
    redis: RedisServer, start: Start, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A namespace keeps them apart: tasks, places, queue, workers, what Celery keeps. Its tools work."""
    one_place = "namespace={!r}, max_tasks=1".format
    programs = [Mine(start, tmp_path / name, redis.url, one_place(name)) for name in ("one", "two")]
    one, two = (Api(session, [program.server() + "/jobs"]) for program in programs)
    programs[0].worker()
    waiting = (await two.start(work="countdown"))["task_id"]
    check_story(await one.watch((await one.start(work="countdown", start=1))["task_id"]), "SUCCESS")
    await one.json("GET", f"/task-status/{waiting}", 404)
    assert (await two.status(waiting))["status"] == "PENDING"
    for program, nodes in zip(programs, (1, 0), strict=True):
        ping = program.celery("inspect", "ping")
        assert ping.wait(20) == (0 if nodes else 69)
        assert ping.output.count("pong") == nodes
    commands = ("inspect stats", "inspect active_queues", "status", "report", "purge -f", "list bindings")
    for command in ("inspect registered", *commands):
        tool = programs[0].celery(*command.split())
        assert tool.wait(20) == 0, tool.output
        assert "Traceback" not in tool.output
        if command == "inspect registered":
            assert "one.run" in tool.output
    with Redis.from_url(redis.url, decode_responses=True) as client:
        assert {key.partition(":")[0] for key in client.scan_iter()} == {"one", "two"}
        assert {channel.partition(":")[0] for channel in client.pubsub_channels()} <= {"one", "two"}


HOST = """
from celery import Celery, current_app, shared_task
from taskstream import TaskStream

host = Celery("host", broker="memory://")
tasks = TaskStream(redis_url="redis://127.0.0.1:1")
celery = tasks.celery

@shared_task
def of_the_host():
    pass

assert current_app.main == "host"
assert celery.main == "taskstream"  # it is made now
assert current_app.main == "host"
assert of_the_host.app.main == "host"
assert host.conf.task_default_queue == "celery"
print("kept")
"""

SERVER = """
import sys, taskstream.redis.registry
print(*sorted({"celery", "kombu"} & set(sys.modules)), "imported")
"""

NO_CELERY = """
import sys
sys.modules["celery"] = sys.modules["redis"] = sys.modules["kombu"] = None
from taskstream import TaskStream
celery = TaskStream().celery
print(hasattr(celery, "__wrapped__"), callable(celery), repr(celery)[:5])
"""


@pytest.mark.parametrize(
    ("program", "output"), [(HOST, "kept"), (SERVER, "imported"), (NO_CELERY, "False False <task")]
)
def test_the_host_application(start: Start, program: str, output: str) -> None:
    """Its own Celery stays what it was; a server needs nothing of Celery, and without Redis nor of that."""
    run = start(Program("-c", program))
    assert run.wait(20) == 0, run.output
    assert run.output.startswith(output)
