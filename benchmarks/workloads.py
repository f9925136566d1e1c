"""The workloads, in the order in which they are run: add a line to have one more."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.hot_loop import events, hot_loop
from benchmarks.measures import OUTPUT_VIEWERS, burst, fan_out, output, reconnect_storm, requests
from benchmarks.servers import PEERS, Figures

ALL = tuple(name for name in PEERS if not name.endswith(("-blocking", "-quiet", "-5ms")))
"""All that emit snapshots in the same way."""


@dataclass(frozen=True)
class Column:
    """One figure of a table."""

    key: str
    title: str
    decimals: int = 1
    compared: bool = False
    """Whether the ratios to ours, and of ours to nchan, are shown too."""


@dataclass(frozen=True)
class Workload:
    """What is measured; the sizes for a first impression, and those for a result."""

    title: str
    measure: Callable[..., Figures]
    columns: tuple[Column, ...]
    quick: dict[str, float]
    full: dict[str, float]
    contestants: tuple[str, ...] = ALL
    reason: str = ""
    """Why some servers don't take part."""


FAN_OUT_COLUMNS = (
    Column("cpu_us", "µs CPU / delivery", compared=True),
    Column("p50_ms", "p50 ms"),
    Column("p99_ms", "p99 ms", compared=True),
    Column("stream_kib", "KiB / stream"),
    Column("connect_ms", "ms CPU / connection", 2),
    Column("received_percent", "% received", 0),
)


def busy(quick: int, full: int) -> Workload:
    """A fan-out to so many viewers beside threads that compute."""
    sizes = {"computing": 8, "rate": 10}
    return Workload(
        "Busy: {computing} threads that compute, {viewers:,} viewers, {rate} events/s",
        fan_out,
        FAN_OUT_COLUMNS[1:3] + FAN_OUT_COLUMNS[-1:],
        quick={**sizes, "viewers": quick, "seconds": 3},
        full={**sizes, "viewers": full, "seconds": 6},
        contestants=("ours", "ours-5ms"),
        reason="it is about how long a thread may keep Python's lock: 0.5 ms here, 5 ms by default",
    )


WORKLOADS = {
    "fan-out": Workload(
        "Fan-out: {tasks} task, {viewers:,} viewers, {rate} events/s",
        fan_out,
        FAN_OUT_COLUMNS,
        quick={"tasks": 1, "viewers": 200, "rate": 10, "seconds": 2},
        full={"tasks": 1, "viewers": 1000, "rate": 10, "seconds": 4},
    ),
    "fan-out-10k": Workload(
        "Fan-out: {tasks} task, {viewers:,} viewers, {rate} event/s",
        fan_out,
        FAN_OUT_COLUMNS,
        quick={"tasks": 1, "viewers": 1000, "rate": 1, "seconds": 3},
        full={"tasks": 1, "viewers": 10_000, "rate": 1, "seconds": 6},
        contestants=("ours", "bare-uvloop", "nchan", "better-sse", "streaming"),
        reason="with so many viewers, the others only take longer",
    ),
    "many": Workload(
        "Many: {tasks:,} tasks, {viewers} viewer each, {rate} events/s",
        fan_out,
        FAN_OUT_COLUMNS,
        quick={"tasks": 100, "viewers": 1, "rate": 10, "seconds": 2},
        full={"tasks": 2000, "viewers": 1, "rate": 10, "seconds": 4},
        contestants=tuple(name for name in ALL if name not in ("nchan", "fastapi-sse")),
        reason="one publisher can't send nchan so many messages a second; fastapi-sse can't take them",
    ),
    "burst": Workload(
        "Burst: {events:,} events as fast as they can be made, {viewers} viewers, {seconds} s at the most",
        burst,
        (
            Column("per_cpu_second", "events received / CPU s", 0, compared=True),
            Column("received_percent", "% received", 0),
            Column("seconds", "s"),
        ),
        quick={"viewers": 100, "events": 5000, "seconds": 3},
        full={"viewers": 100, "events": 100_000, "seconds": 5},
        contestants=tuple(name for name in ALL if name not in ("bare-uvloop", "fastapi-sse")),
        reason="the bare writes know no bounds, and fastapi-sse takes one event in a hundred",
    ),
    "output": Workload(
        "Output: {characters:,} characters in pieces of ten, to so many viewers, {seconds} s at the most",
        output,
        tuple(
            column
            for viewers in OUTPUT_VIEWERS
            for column in (
                Column(f"characters_per_cpu_us_{viewers}", f"{viewers:,}: characters / µs CPU", 1, True),
                Column(f"seconds_{viewers}", f"{viewers:,}: s until all have all", 2),
            )
        ),
        quick={"characters": 200_000, "seconds": 3},
        full={"characters": 1_000_000, "seconds": 5},
        contestants=("ours", "ours-blocking", "better-sse", "streaming"),
        reason="nchan is given a message at a time, and the others differ from these in their framing only",
    ),
    "reconnect-storm": Workload(
        "Reconnect storm: {viewers:,} viewers, cut off after half of {events} events, back within a second",
        reconnect_storm,
        (
            Column("seconds", "s until all have caught up", 2, compared=True),
            Column("p50_ms", "p50 ms"),
            Column("p99_ms", "p99 ms"),
            Column("cpu_ms", "ms CPU / viewer", 2, compared=True),
            Column("missing", "never", 0),
        ),
        quick={"viewers": 200, "events": 40, "seconds": 2},
        full={"viewers": 10_000, "events": 12, "seconds": 4},
        contestants=("ours", "nchan"),
        reason="the others keep no events to resume from",
    ),
    "requests": Workload(
        "Requests: {viewers:,} streams opened, statuses and starts on {connections} connections",
        requests,
        (
            Column("open_us", "µs CPU / opening", 0, compared=True),
            Column("status_us", "µs CPU / status", 0, compared=True),
            Column("start_us", "µs CPU / start", 0, compared=True),
        ),
        quick={"viewers": 300, "connections": 10, "seconds": 1},
        full={"viewers": 2000, "connections": 10, "seconds": 3},
        contestants=("ours", "ours-in-file", "ours-quiet", "streaming", "streaming-quiet"),
        reason="these are FastAPI too; the quiet ones print no access log",
    ),
    "busy": busy(quick=100, full=100),
    "busy-1k": busy(quick=200, full=1000),
    "events": Workload(
        "Events: {calls:,}, each alone in its turn of the event loop, or {together} together",
        events,
        (Column("alone_us", "µs CPU / event alone"), Column("together_us", "µs CPU / event together")),
        quick={"calls": 10_000, "together": 50},
        full={"calls": 50_000, "together": 50},
        contestants=("ours", "ours-in-file"),
        reason="it is about what the file adds, with a viewer in the same process",
    ),
    "hot-loop": Workload(
        "Hot loop: {calls:,} calls of report() and items of track(), and the same of tqdm",
        hot_loop,
        (
            Column("call_ns", "ns / call", 0, compared=True),
            Column("item_ns", "ns / item", 0, compared=True),
            Column("coroutine_ns", "ns / item in a coroutine", 0, compared=True),
        ),
        quick={"calls": 200_000},
        full={"calls": 2_000_000},
        contestants=("ours", "tqdm"),
    ),
}
