"""The servers as processes of their own, and the load generator as another."""

import http.client
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

from benchmarks.emission import Emission
from benchmarks.peers import better_sse, nchan
from benchmarks.peers.ports import free_port

Figures = dict[str, float]
START_SECONDS = 60
STOP_SECONDS = 10


def nothing() -> str:
    """All that is needed is there."""
    return ""


def needs_module(module: str) -> Callable[[], str]:
    """What to do if this Python module is not there."""
    return lambda: "" if importlib.util.find_spec(module) else "pip install -r benchmarks/requirements.txt"


def cpu_seconds(process: psutil.Process) -> float:
    """The user and system time of a process."""
    if sys.platform == "linux":  # where psutil counts in hundredths of a second
        return time.clock_gettime(~process.pid << 3 | 2)  # which is clock_getcpuclockid(3)
    return sum(process.cpu_times()[:2])


@dataclass(frozen=True)
class Peer:
    """One of the servers."""

    name: str
    module: str
    missing: Callable[[], str] = nothing
    counts_children: bool = False
    """Whether its process only starts, and publishes to, those whose CPU and memory count."""
    flags: tuple[str, ...] = ()


PEERS = {
    peer.name: peer
    for peer in (
        Peer("ours", "ours"),
        Peer("ours-in-file", "ours_in_file"),
        Peer("ours-blocking", "ours_blocking"),
        Peer("ours-quiet", "ours", flags=("--no-access-log",)),
        Peer("ours-5ms", "ours", flags=("--switch-5ms",)),
        Peer("bare-uvloop", "bare_uvloop", needs_module("uvloop")),
        Peer("nchan", "nchan", nchan.missing, counts_children=True),
        Peer("better-sse", "better_sse", better_sse.missing),
        Peer("aiohttp-sse", "aiohttp_server", needs_module("aiohttp_sse")),
        Peer("streaming", "streaming"),
        Peer("streaming-quiet", "streaming", flags=("--no-access-log",)),
        Peer("naive", "naive"),
        Peer("fastapi-sse", "fastapi_sse"),
    )
}


class Server:
    """A peer that is ready to answer."""

    def __init__(self, peer: Peer) -> None:
        self.port = free_port()
        self._process = psutil.Popen(
            [sys.executable, "-m", f"benchmarks.peers.{peer.module}", str(self.port), *peer.flags],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._counts_children = peer.counts_children
        self._wait_until_ready(peer.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        children = self._process.children(recursive=True)
        self._process.terminate()
        for process in psutil.wait_procs([self._process, *children], STOP_SECONDS)[1]:
            process.kill()

    def start_task(self, emission: Emission) -> str:
        """Start a task; the path of its stream."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/start-task", self.task_body(emission), headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"POST /start-task answered {response.status}: {answer.decode()}")
        return f"/task-progress/{json.loads(answer)['task_id']}"

    @staticmethod
    def task_body(emission: Emission) -> str:
        """The body of the request that starts a task."""
        return json.dumps(vars(emission))

    def cpu_seconds(self) -> float:
        """The user and system time that has been spent on serving."""
        return sum(map(cpu_seconds, self._counted()))

    def memory_kib(self) -> float:
        """Resident memory, that which is shared with other processes in proportion."""
        accounts = [process.memory_full_info() for process in self._counted()]
        return sum(getattr(each, "pss", each.rss) for each in accounts) / 1024  # only Linux has a PSS

    def _counted(self) -> list[psutil.Process]:
        return self._process.children(recursive=True) if self._counts_children else [self._process]

    def _listens(self) -> bool:
        """Whether it is this server that listens on the port, not somebody else's."""
        try:
            return any(
                connection.status == psutil.CONN_LISTEN and connection.laddr.port == self.port
                for process in (self._process, *self._process.children())
                for connection in process.net_connections("tcp")
            )
        except psutil.NoSuchProcess:  # such as `nginx -V`, which has ended meanwhile
            return False

    def _wait_until_ready(self, name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._listens():
                return
            time.sleep(0.05)
        self._process.kill()
        raise RuntimeError(f"The server '{name}' does not start: see what `python -m` of its module says.")


class Load:
    """The load generator, aimed at one server. Its methods are those of `load.Generator`."""

    def __init__(self, server: Server) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load", str(server.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def __getattr__(self, command: str) -> Callable[..., Figures]:
        def call(**arguments: object) -> Figures:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            self._process.stdin.flush()
            if not (answer := self._process.stdout.readline()):
                raise RuntimeError("The load generator has failed: its traceback is above.")
            figures: Figures = json.loads(answer)
            return figures

        return call
