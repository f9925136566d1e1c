"""What one server is put to, and what is measured meanwhile."""

import time
from collections.abc import Callable
from functools import wraps
from math import ceil, nan

from benchmarks.emission import Emission
from benchmarks.servers import PEERS, Figures, Load, Server

SETTLE_SECONDS = 1
QUIET_SECONDS = 1
"""A burst in which nothing has come for so long is over: its connections may be kept for more requests."""
OUTPUT_VIEWERS = (1, 100, 1000)
"""To how many viewers the text goes, one after the other."""
SPARE_SECONDS = 60
"""How much longer a task goes on than it should have to."""


def served(measure: Callable[..., Figures]) -> Callable[..., Figures]:
    """The same for the name of a server, which is started for it, and its load generator with it."""

    @wraps(measure)
    def with_server(name: str, **sizes: float) -> Figures:
        with Server(PEERS[name]) as server, Load(server) as load:
            return measure(server, load, **sizes)

    return with_server


@served
def fan_out(
    server: Server,
    load: Load,
    *,
    viewers: int,
    rate: float,
    seconds: float,
    tasks: int = 1,
    computing: int = 0,
) -> Figures:
    """`tasks`, each with so many viewers and so many events a second, which begin once all are there.

    Beside them, so many threads that are `computing`.
    """
    warm_up(server, load)
    streams = tasks * viewers
    delay = 1 + streams / 1000
    emission = Emission(rate, int(rate * (delay + seconds + SPARE_SECONDS)), delay)
    memory, started = server.memory_kib(), time.monotonic()
    paths = [server.start_task(emission) for _ in range(tasks)]
    cpu = server.cpu_seconds()
    load.connect(paths=paths, viewers=viewers)
    time.sleep(0.3)
    connect_seconds = server.cpu_seconds() - cpu
    for _ in range(computing):
        server.start_task(Emission(0, SPARE_SECONDS, work="compute"))
    # Half-way between two events, and for as many as are expected: one more would be 5 % of twenty.
    sleep_until(started + delay + SETTLE_SECONDS + 0.5 / rate, 1 / rate)

    load.begin(expected=streams * rate * seconds)
    began, cpu = time.monotonic(), server.cpu_seconds()
    time.sleep(seconds)
    received = load.end()
    cpu, seconds = server.cpu_seconds() - cpu, time.monotonic() - began
    return {
        "cpu_us": 1e6 * cpu / received["events"] if received["events"] else nan,
        "p50_ms": received["p50"],
        "p99_ms": received["p99"],
        "received_percent": 100 * received["events"] / (streams * rate * seconds),
        "stream_kib": (server.memory_kib() - memory) / streams,
        "connect_ms": 1000 * connect_seconds / streams,
    }


def sleep_until(due: float, interval: float) -> None:
    """Sleep until this time or, if it has passed, one that is some whole intervals later."""
    late = time.monotonic() - due
    time.sleep(ceil(late / interval) * interval - late if late > 0 else -late)


def warm_up(server: Server, load: Load, work: str = "emit") -> None:
    """Let the server import and allocate what it needs for the first few streams."""
    path = server.start_task(Emission(10, 20, work=work))
    load.connect(paths=[path], viewers=20)
    time.sleep(0.5)
    load.forget()
    time.sleep(0.5)


@served
def burst(server: Server, load: Load, *, viewers: int, events: int, seconds: float) -> Figures:
    """One task that emits as fast as it can, for so many seconds at the most."""
    warm_up(server, load)
    delay = 1 + viewers / 1000
    started = time.monotonic()
    path = server.start_task(Emission(0, events, delay))
    load.connect(paths=[path], viewers=viewers)
    time.sleep(max(0, started + delay - 0.1 - time.monotonic()))
    load.begin()
    began = last = time.monotonic()
    cpu, received = server.cpu_seconds(), 0.0
    while time.monotonic() < min(began + seconds, last + QUIET_SECONDS):
        time.sleep(0.1)
        if (events_now := load.count()["events"]) > received:
            received, last = events_now, time.monotonic()
    return {
        "per_cpu_second": received / (server.cpu_seconds() - cpu),
        "received_percent": 100 * received / (viewers * events),
        "seconds": last - began,
    }


def output(name: str, *, characters: int, seconds: float) -> Figures:
    """A text, in pieces of ten characters, to one viewer and to many: each time by a new server."""
    return {
        f"{key}_{viewers}": figure
        for viewers in OUTPUT_VIEWERS
        for key, figure in write(name, viewers=viewers, pieces=characters // 10, seconds=seconds).items()
    }


@served
def write(server: Server, load: Load, *, viewers: int, pieces: int, seconds: float) -> Figures:
    """One task that writes a text as fast as it can, for so many seconds at the most."""
    warm_up(server, load, "write")
    delay = 1 + viewers / 500
    began = time.monotonic()
    path = server.start_task(Emission(0, pieces, delay, "write"))
    load.read(path=path, viewers=viewers, pieces=pieces)
    time.sleep(max(0, began + delay - 0.1 - time.monotonic()))
    cpu, until = server.cpu_seconds(), time.monotonic() + seconds
    while (progress := load.progress())["whole"] < viewers and time.monotonic() < until:
        time.sleep(0.05)
    cpu = server.cpu_seconds() - cpu
    if progress["wrong"]:
        raise RuntimeError(f"{progress['wrong']} of {viewers} viewers got another text, or came too late.")
    return {
        "characters_per_cpu_us": progress["characters"] / cpu / 1e6,
        "seconds": progress["seconds"] if progress["whole"] == viewers else nan,
    }


@served
def reconnect_storm(server: Server, load: Load, *, viewers: int, events: int, seconds: float) -> Figures:
    """Viewers that are cut off half-way, and come back within a second when all events have happened."""
    warm_up(server, load)
    delay = 1 + viewers / 1000
    rate = events / seconds
    began = time.monotonic()
    path = server.start_task(Emission(rate, events, delay))
    load.connect(paths=[path], viewers=viewers)
    if (rest := began + delay + seconds / 2 - time.monotonic()) < 0:
        raise RuntimeError(f"{viewers} viewers have taken too long to connect: the machine is busy.")
    time.sleep(rest)
    load.cut()
    time.sleep(seconds / 2 + SETTLE_SECONDS)
    cpu = server.cpu_seconds()
    caught_up = load.reconnect(within=1, awaited=Emission(rate, events).message(events), patience=30)
    return {
        "seconds": caught_up["seconds"],
        "p50_ms": caught_up["p50"],
        "p99_ms": caught_up["p99"],
        "cpu_ms": 1000 * (server.cpu_seconds() - cpu) / viewers,
        "missing": caught_up["missing"],
    }


@served
def requests(server: Server, load: Load, *, viewers: int, connections: int, seconds: float) -> Figures:
    """Streams that are opened; statuses that are asked for, tasks that are started and end at once."""
    warm_up(server, load)
    path = server.start_task(Emission(0, 1, delay=SPARE_SECONDS))
    cpu = server.cpu_seconds()
    load.connect(paths=[path], viewers=viewers)
    time.sleep(0.3)
    figures = {"open_us": 1e6 * (server.cpu_seconds() - cpu) / viewers}
    load.forget()
    time.sleep(SETTLE_SECONDS)
    status = path.replace("/task-progress/", "/task-status/")
    for key, asked, body in (
        ("status_us", status, ""),
        ("start_us", "/start-task", server.task_body(Emission(rate=0, events=1))),
    ):
        cpu = server.cpu_seconds()
        sent = load.ask(path=asked, body=body, connections=connections, seconds=seconds)
        if sent["failures"]:
            raise RuntimeError(f"{sent['failures']} requests for {asked} failed.")
        figures[key] = 1e6 * (server.cpu_seconds() - cpu) / sent["answers"]
    return figures
