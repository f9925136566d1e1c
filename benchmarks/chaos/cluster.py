"""A cluster on this machine: Redis, two servers, two workers, and a line to Redis for each of those."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import aiohttp
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from benchmarks.chaos.application import WORKS_VARIABLE
from benchmarks.chaos.limits import Limits
from benchmarks.chaos.programs import Program, python
from benchmarks.chaos.proxy import Proxy
from benchmarks.peers.ports import free_port

SERVERS = 2
WORKERS = 2
PROCESSES = 3
"""Of each worker."""

NAMESPACE = "taskstream"
START_SECONDS = 60
HOST = "127.0.0.1"
APPLICATION = "benchmarks.chaos.application"


class Cluster:
    """All processes of a run, in a folder of its own. Entered, it is ready; left, it is gone."""

    def __init__(self, folder: Path, draw: Random, *, limits: Limits, mutant: str | None = None) -> None:
        self.folder = folder
        self.works_path = folder / "works.jsonl"
        self.redis_port = free_port()
        self._ports = [free_port() for _ in range(SERVERS)]
        self.urls = [f"http://{HOST}:{port}" for port in self._ports]
        self._data = folder / "redis"
        self._mutant = mutant
        self._environment = {
            WORKS_VARIABLE: str(self.works_path),
            "TASKSTREAM_HISTORY_LENGTH": str(limits.history_length),
            "TASKSTREAM_RETENTION_SECONDS": str(limits.retention_seconds),
            "TASKSTREAM_MAX_TASKS": str(limits.max_tasks),
            "TASKSTREAM_PING_SECONDS": "1",
        }
        self.server_lines = [Proxy(self.redis_port, draw) for _ in range(SERVERS)]
        self.worker_lines = [Proxy(self.redis_port, draw) for _ in range(WORKERS)]
        self.redis = Redis(host=HOST, port=self.redis_port, socket_timeout=3, retry=Retry(NoBackoff(), 1))
        """A line of its own, which no fault strikes; over connections that Redis may have closed."""

    async def __aenter__(self) -> Self:
        self._data.mkdir(parents=True)
        self._stack = AsyncExitStack()
        try:
            for line in (*self.server_lines, *self.worker_lines):
                await self._stack.enter_async_context(line)
            self._make_programs()
            self.redis_server.start()
            for program in (*self.servers, *self.workers):
                program.start()
            await self.ready()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for program in self.programs:
            program.kill_all()
        await self.redis.aclose()
        await self._stack.aclose()

    @property
    def lines(self) -> list[Proxy]:
        """The lines of all programs to Redis."""
        return [*self.server_lines, *self.worker_lines]

    @property
    def programs(self) -> list[Program]:
        """All programs."""
        return [self.redis_server, *self.servers, *self.workers]

    async def ready(self) -> None:
        """Wait until all of them are. Raises `TimeoutError`, with what they have printed."""
        try:
            async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as session:
                for url in self.urls:
                    await self._answers(session, url)
                for worker in self.workers:
                    await worker.printed(" ready.")
        except TimeoutError:
            texts = "\n".join(f"{each.name}:\n{each.output[-2000:]}" for each in self.programs)
            raise TimeoutError(f"The cluster did not start in {START_SECONDS} s.\n{texts}") from None

    async def _answers(self, session: aiohttp.ClientSession, url: str) -> None:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{url}/health", timeout=aiohttp.ClientTimeout(2)) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.1)

    async def redis_ready(self) -> None:
        """Wait until Redis answers, which it may need to be started for. Raises `TimeoutError`."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                with suppress(RedisError, OSError):
                    await self.redis.ping()
                    return
                await asyncio.sleep(0.02)

    async def logs(self) -> AsyncIterator[tuple[str, int, str, str]]:
        """All events in Redis: the task's id, the number, the kind (nothing for snapshots) and the data."""
        prefix = f"{NAMESPACE}:log:"
        async for key in self.redis.scan_iter(f"{prefix}?*"):
            entries: list[Any] = await self.redis.xrange(key) or []
            for entry_id, fields in entries:
                kind = fields[b"kind"].decode().removeprefix("last")
                number = int(entry_id.split(b"-")[0])
                yield key.decode().removeprefix(prefix), number, kind, fields[b"data"].decode()

    async def idle(self) -> None:
        """Wait until every task has ended, also those that nobody watches."""
        # Nothing tells of that but what is under test.
        while await self.redis.scard(f"{NAMESPACE}:running"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def empty(self) -> None:
        """Wait until every task is forgotten."""
        while [_ async for _ in self.logs()]:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.5)

    def copy_data(self) -> tuple[Path, float]:
        """A copy of what Redis has written, and the time before which all of it is in there."""
        began_at = time.time()
        copy = self.folder / f"copy-{began_at}"
        shutil.copytree(self._data, copy)
        return copy, began_at

    def restore_data(self, copy: Path) -> None:
        """Kill Redis, and start it with an older copy of what it has written."""
        self.redis_server.kill()
        shutil.rmtree(self._data)
        copy.rename(self._data)
        self.redis_server.start()

    def _make_programs(self) -> None:
        # Written before it is acknowledged, and never put off for a disk: what kills Redis loses nothing.
        durable = ["--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0"]
        where = ["--bind", HOST, "--port", str(self.redis_port), "--dir", str(self._data), "--save", ""]
        redis_server = shutil.which("redis-server") or "/usr/bin/redis-server"
        self.redis_server = Program("redis", [redis_server, *where, *durable], self.folder / "redis.log")
        self.servers = [self._make_server(number) for number in range(SERVERS)]
        self.workers = [self._make_worker(number) for number in range(WORKERS)]

    def _make_server(self, number: int) -> Program:
        flags = ["--port", str(self._ports[number]), "--redis-url", self._url(self.server_lines[number])]
        command = python(APPLICATION, *flags, mutant=self._mutant)
        log = self.folder / f"server-{number}.log"
        return Program(f"server-{number}", command, log, **self._environment)

    def _make_worker(self, number: int) -> Program:
        name = f"worker-{number}"
        flags = ["--concurrency", str(PROCESSES), "--hostname", f"{name}@localhost", "--loglevel", "INFO"]
        command = python("celery", "-A", f"{APPLICATION}:celery", "worker", *flags, mutant=self._mutant)
        url = self._url(self.worker_lines[number])
        environment = {**self._environment, "TASKSTREAM_REDIS_URL": url}
        return Program(name, command, self.folder / f"{name}.log", **environment)

    def _url(self, line: Proxy) -> str:
        return f"redis://{HOST}:{line.port}/0"
