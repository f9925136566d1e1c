"""Applications of one's own over Redis: the same lines, and workers by one command."""

from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from redis import Redis

from benchmarks.peers.ports import free_port
from tests.conftest import Start
from tests.support.api import Api, check_story
from tests.support.backends import RedisServer
from tests.support.programs import ROOT, Program

pytestmark = pytest.mark.slow

MINE = """
import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import FastAPI
from taskstream import Snapshot, TaskStream, Update, track

tasks = TaskStream({settings})


@tasks.work
async def countdown(*, start: int = 10) -> AsyncIterator[Update]:
    for number in range(start, 0, -1):
        await asyncio.sleep(0.1)
        yield Update(100 * (start - number + 1) / start, f"{{number}} …")


@tasks.work
def resize(*, images: int = 20) -> int:
    for _ in track(range(images), "Resizing"):
        time.sleep(0.1)
    return images


app = FastAPI()
app.include_router(tasks.router, prefix="/jobs")
celery = tasks.celery


@app.post("/albums", status_code=202)
async def resize_album(images: int = 20) -> Snapshot:
    return await tasks.start(resize, images=images)
"""


class Module(Program):
    """`python -m …` in the folder of a module of one's own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        super().__init__("-m", *arguments, PYTHONPATH=str(ROOT), TASKSTREAM_REDIS_URL="")


class Mine:
    """A module of one's own: its server and its workers."""

    def __init__(self, start: Start, folder: Path, settings: str) -> None:
        folder.mkdir()
        (folder / "mine.py").write_text(MINE.format(settings=settings), encoding="utf-8")
        self.folder = folder
        self._start = start

    def server(self) -> str:
        """Start the server; its address."""
        server = self._start(Module(self.folder, "uvicorn", "mine:app", "--port", "0"))
        url: str = server.wait_for(r"running on (http://\S+)")[1]
        return url

    def worker(self, *flags: str) -> Program:
        """Start a worker."""
        name = f"worker{free_port()}@localhost"
        worker: Program = self._start(
            self.celery("worker", "--hostname", name, "--concurrency", "1", "--loglevel", "INFO", *flags)
        )
        worker.wait_for(f"{name} ready")
        return worker

    def celery(self, *arguments: str) -> Program:
        """Run one of Celery's commands."""
        return Module(self.folder, "celery", "-A", "mine:celery", *arguments)


@pytest.fixture
def mine(redis: RedisServer, start: Start, tmp_path: Path) -> Callable[..., Mine]:
    """Make a module of one's own, with these settings, over the same Redis."""
    return lambda name="mine", settings="": Mine(
        start, tmp_path / name, f"redis_url={redis.url!r}, {settings}"
    )


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
async def test_the_first_program(
    mine: Callable[..., Mine], session: aiohttp.ClientSession, pool: str
) -> None:
    """With a Redis URL, the program that README begins with runs its work in workers, of any pool."""
    module = mine()
    api = Api(session, [module.server() + "/jobs"])
    module.worker("--pool", pool)
    stream = await api.watch((await api.start(work="countdown", start=3))["task_id"])
    check_story(stream, "SUCCESS")
    assert [event.snapshot["message"] for event in stream[2:-1]] == ["3 …", "2 …", "1 …"]
    async with session.post(api.url("").removesuffix("/jobs") + "/albums?images=5") as response:
        assert response.status == 202
        task_id = (await response.json())["task_id"]
    stream = await api.watch(task_id)
    check_story(stream, "SUCCESS")
    assert stream[-1].snapshot["data"] == 5


def test_a_worker_needs_a_redis_url(start: Start, tmp_path: Path) -> None:
    """Without one it ends, with a sentence that says what to write."""
    worker = start(Mine(start, tmp_path / "mine", "").celery("worker"))
    assert worker.wait(20) != 0
    assert "TaskStream(redis_url=…)" in worker.output
    assert "Traceback" not in worker.output


async def test_applications_that_share_a_redis(
    redis: RedisServer, mine: Callable[..., Mine], session: aiohttp.ClientSession
) -> None:
    """A namespace keeps them apart: tasks, places, queue, workers, and what Celery keeps."""
    modules = [mine(name, f"namespace={name!r}, max_tasks=1") for name in ("one", "two")]
    one, two = (Api(session, [module.server() + "/jobs"]) for module in modules)
    modules[0].worker()
    waiting = (await two.start(work="countdown"))["task_id"]
    check_story(await one.watch((await one.start(work="countdown", start=1))["task_id"]), "SUCCESS")
    await one.json("GET", f"/task-status/{waiting}", 404)
    assert (await two.status(waiting))["status"] == "PENDING"
    for module, nodes in zip(modules, (1, 0), strict=True):
        ping = module.celery("inspect", "ping")
        assert ping.wait(20) == (0 if nodes else 69)
        assert ping.output.count("pong") == nodes
    with Redis.from_url(redis.url, decode_responses=True) as client:
        assert {key.partition(":")[0] for key in client.scan_iter()} == {"one", "two"}
        assert {channel.partition(":")[0] for channel in client.pubsub_channels()} <= {"one", "two"}


def test_celery_commands(mine: Callable[..., Mine]) -> None:
    """Celery's own tools work with the application, which is made when they ask for it."""
    module = mine()
    module.worker()
    commands = ("inspect stats", "inspect active_queues", "status", "report", "purge -f", "list bindings")
    for command in ("inspect registered", *commands):
        program = module.celery(*command.split())
        assert program.wait(20) == 0, program.output
        assert "Traceback" not in program.output
        if command == "inspect registered":
            assert "taskstream.run" in program.output


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
