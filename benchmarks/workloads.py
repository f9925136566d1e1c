"""The workloads, in the order in which they are run: add a line to have one more."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.hot_loop import hot_loop
from benchmarks.measures import burst, fan_out, reconnect_storm, start
from benchmarks.servers import PEERS, Figures


@dataclass(frozen=True)
class Column:
    """One figure of a table."""

    key: str
    title: str
    decimals: int = 1
    compared: bool = False
    """Whether its ratio to ours is shown too."""


@dataclass(frozen=True)
class Workload:
    """What is measured; the sizes for a first impression, and those for a result."""

    title: str
    measure: Callable[..., Figures]
    columns: tuple[Column, ...]
    quick: dict[str, float]
    full: dict[str, float]
    contestants: tuple[str, ...] = tuple(PEERS)
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

WORKLOADS = {
    "fan-out": Workload(
        "Fan-out: {tasks} task, {viewers:,} viewers, {rate} events/s",
        fan_out,
        FAN_OUT_COLUMNS,
        quick={"tasks": 1, "viewers": 200, "rate": 10, "seconds": 2},
        full={"tasks": 1, "viewers": 1000, "rate": 10, "seconds": 10},
    ),
    "fan-out-10k": Workload(
        "Fan-out: {tasks} task, {viewers:,} viewers, {rate} event/s",
        fan_out,
        FAN_OUT_COLUMNS,
        quick={"tasks": 1, "viewers": 1000, "rate": 1, "seconds": 3},
        full={"tasks": 1, "viewers": 10_000, "rate": 1, "seconds": 10},
    ),
    "many": Workload(
        "Many: {tasks:,} tasks, {viewers} viewer each, {rate} events/s",
        fan_out,
        FAN_OUT_COLUMNS,
        quick={"tasks": 100, "viewers": 1, "rate": 10, "seconds": 2},
        full={"tasks": 2000, "viewers": 1, "rate": 10, "seconds": 10},
        contestants=tuple(name for name in PEERS if name != "nchan"),
        reason="one publisher can't send nchan so many messages a second by HTTP",
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
        full={"viewers": 100, "events": 100_000, "seconds": 20},
        contestants=tuple(name for name in PEERS if name != "bare-uvloop"),
        reason="the bare writes know no bounds",
    ),
    "reconnect-storm": Workload(
        "Reconnect storm: {viewers:,} viewers, cut off half-way, come back within a second",
        reconnect_storm,
        (
            Column("seconds", "s until all have caught up", 2, compared=True),
            Column("p50_ms", "p50 ms"),
            Column("p99_ms", "p99 ms"),
            Column("cpu_ms", "ms CPU / viewer", 2, compared=True),
            Column("missing", "never", 0),
        ),
        quick={"viewers": 200, "events": 40, "seconds": 2},
        full={"viewers": 2000, "events": 100, "seconds": 10},
        contestants=("ours", "nchan"),
        reason="the others keep no events to resume from",
    ),
    "start": Workload(
        "Start: POST /start-task on {connections} connections",
        start,
        (
            Column("per_cpu_second", "tasks started / CPU s", 0, compared=True),
            Column("per_second", "tasks started / s", 0),
        ),
        quick={"connections": 10, "seconds": 2},
        full={"connections": 10, "seconds": 10},
        contestants=("ours", "naive", "aiohttp-sse", "better-sse"),
        reason="nchan has no tasks, and the others differ in their streams only",
    ),
    "hot-loop": Workload(
        "Hot loop: {calls:,} calls of report(), and of tqdm.update()",
        hot_loop,
        (Column("call_ns", "ns / call", 0, compared=True),),
        quick={"calls": 200_000},
        full={"calls": 2_000_000},
        contestants=("ours", "tqdm"),
    ),
}
