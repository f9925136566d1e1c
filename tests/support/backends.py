"""The programs of a distributed set-up, and the set-ups over which the contract is checked."""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from benchmarks.peers.ports import free_port
from tests.support.programs import ROOT, Program, Server

BACKENDS = {"sqlite": 1, "redis": 1, "redis-two-servers": 2, "nginx": 1}
"""The set-ups, besides one server by itself, and how many servers there are."""

RETRY = ("--retry-milliseconds", "20")
"""Viewers reconnect almost at once."""


def require(*names: str) -> str:
    """The path of a program, under whichever name it has. Skips the test without it, but fails under CI."""
    for name in names:
        if path := shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin"):
            return path
    return give_up(f"{names[0]} is missing: see .ci/run for how to install it")


def give_up(reason: str) -> NoReturn:
    """Skip the test, which is a failure under CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class RedisServer(Program):
    """`redis-server`, ready to answer. It keeps nothing on disk unless it is given a folder."""

    def __init__(self, port: int | None = None, folder: Path | None = None) -> None:
        self.executable = (require("redis-server"),)
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        data = (
            ("--appendonly", "yes", "--appendfsync", "always", "--dir", str(folder))
            if folder
            else ("--appendonly", "no")
        )
        super().__init__("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *data)
        self.wait_for("Ready to accept connections")


class Worker(Program):
    """`celery -A app:celery worker` with so many processes, once it has printed `until`: ready to work."""

    process_group = 0  # one of its own, so that its processes can be killed with it

    def __init__(
        self,
        redis_url: str,
        processes: int,
        module: str = "app:celery",
        flags: tuple[str, ...] = (),
        until: str = " ready",
        **environment: str,
    ) -> None:
        name = f"worker{free_port()}@localhost"
        super().__init__(
            *("-m", "celery", "-A", module, "worker"),
            *("--concurrency", str(processes), "--hostname", name, "--loglevel", "INFO", *flags),
            TASKSTREAM_REDIS_URL=redis_url,
            **environment,
        )
        self.wait_for(until)

    def kill(self) -> None:
        """Kill it, and all of its processes, as if the machine had lost its power."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()


class Nginx(Program):
    """nginx with `deploy/nginx.conf`, but other ports, and maybe one more location; ready to answer."""

    def __init__(self, *urls: str, buffering: bool = False, location: str = "") -> None:
        self.executable = (require("nginx"),)
        self._folder = tempfile.TemporaryDirectory(prefix="progress-")
        Path(self._folder.name).chmod(0o711)  # started by root, nginx works as somebody else
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
        upstream = "".join(rf"server {url.removeprefix('http://')}\2" for url in urls)
        text = re.sub(r"(server 127\.0\.0\.1:\d+(.*;\s+))+", upstream, text)
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("/tmp/", f"{self._folder.name}/")
        if buffering:
            text = text.replace("proxy_buffering off;", "")
        text = text.replace("location / {", f"{location}\nlocation / {{")
        conf = Path(self._folder.name) / "nginx.conf"
        conf.write_text(text, encoding="utf-8")
        super().__init__("-p", self._folder.name, "-c", str(conf), "-e", "stderr")
        self.wait_for("start worker process ")

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()


class OwnServer(Server):
    """The same server with the work of `tests/redis/own_app.py` on top."""

    program = ("-m", "tests.redis.own_app")


def sharing_server(redis_url: str, *flags: str) -> Server:
    """A server that shares its tasks with others."""
    return Server(*RETRY, "--redis-url", redis_url, *flags)


@contextmanager
def backend(name: str) -> Iterator[list[str]]:
    """Where the servers of a set-up answer."""
    with ExitStack() as stack:
        if name == "sqlite":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="progress-")))
            yield [stack.enter_context(Server(*RETRY, "--database", str(folder / "tasks.db"))).url]
            return
        if name == "nginx":
            server = stack.enter_context(Server(*RETRY))
            nginx = stack.enter_context(Nginx(server.url, buffering=True))
            yield [nginx.url]
            return
        redis = stack.enter_context(RedisServer())
        stack.enter_context(Worker(redis.url, processes=8))
        servers = [stack.enter_context(sharing_server(redis.url)) for _ in range(BACKENDS[name])]
        yield [server.url for server in servers]
