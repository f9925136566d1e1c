"""One run: a cluster, its clients and its nemesis, until all has come to its end; and what it has shown."""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import aiohttp

from benchmarks.chaos.check_limits import FORGET_SECONDS
from benchmarks.chaos.checker import check
from benchmarks.chaos.cluster import Cluster
from benchmarks.chaos.facts import Facts
from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.history import Observation, What
from benchmarks.chaos.limits import ANY_LIMITS
from benchmarks.chaos.load import Load
from benchmarks.chaos.mutants import MUTANTS
from benchmarks.chaos.nemesis import Nemesis
from benchmarks.chaos.recorder import Recorder
from benchmarks.chaos.scene import Scene
from benchmarks.chaos.viewers import Surroundings
from benchmarks.chaos.violations import Violation

SETTLE_SECONDS = 70
"""How long everything may take to come to its end after the last fault: longer than is allowed."""

AFTERMATH_SECONDS = 5
"""How long clients go on after the last fault."""

QUIET_SECONDS = 1.5
"""How long it is watched that nothing follows the end."""

OUTPUT_CHARACTERS = 300
"""Of what a program has printed last, if it has died."""

KEPT_SECONDS = 60
"""Tasks that are kept for longer than this are there in the end; others have to be forgotten."""


@dataclass(frozen=True)
class Plan:
    """What a run is made of; equal ones differ only in what the machine makes of it."""

    seed: int
    seconds: float
    faults: Sequence[str] = tuple(FAULTS)
    mutant: str | None = None
    together: bool = False
    """All of the faults at the same time, again and again."""


@dataclass
class Report:
    """What a run has shown."""

    plan: Plan
    history: list[Observation]
    violations: list[Violation]
    figures: dict[str, int] = field(default_factory=dict)
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    """Seconds, by fault."""


async def run(plan: Plan, folder: Path) -> Report:
    """Run a plan, with its files in a folder."""
    draw = Random(plan.seed)
    drawn = draw.choice(ANY_LIMITS)
    limits = MUTANTS[plan.mutant].limits if plan.mutant else drawn
    async with Cluster(folder, draw, limits=limits, mutant=plan.mutant) as cluster:
        print(f"Seed {plan.seed}: the cluster is ready, its files are in {folder}", file=sys.stderr)
        with Recorder(folder / "history.jsonl", cluster.works_path) as recorder:
            recorder.record(What.LIMITS, "cluster", data=limits.to_json())
            await torment(plan, cluster, recorder, draw)
            if limits.retention_seconds < KEPT_SECONDS:
                with suppress(TimeoutError):  # the checker finds what is still there
                    async with asyncio.timeout(limits.retention_seconds + 2 * FORGET_SECONDS):
                        await cluster.empty()
            await take_down(cluster, recorder)
            history = recorder.history()
    return report_of(plan, history)


async def torment(plan: Plan, cluster: Cluster, recorder: Recorder, draw: Random) -> None:
    """Let clients and nemesis loose on a cluster, until all has come to its end."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        load = Load(Surroundings(session, cluster.urls, recorder, Random(draw.random())))

        async def probe() -> None:
            await asyncio.gather(*(load.probe(url) for url in cluster.urls))

        scene = Scene(cluster, Random(draw.random()), recorder)
        until = time.time() + plan.seconds
        give_up_at = asyncio.get_running_loop().time() + plan.seconds + SETTLE_SECONDS
        clients = asyncio.create_task(load.run(until + AFTERMATH_SECONDS))
        nemesis = Nemesis(scene, plan.faults, probe, together=plan.together)
        tormenting = asyncio.create_task(nemesis.run(until))
        try:
            async with asyncio.timeout_at(give_up_at):
                await asyncio.gather(clients, tormenting)
                await cluster.idle()
        except TimeoutError:
            if not nemesis.calm:
                raise
            # Otherwise the checker finds what has not ended.
        finally:
            for each in (clients, tormenting):
                each.cancel()
            await asyncio.wait([clients, tormenting])
        await asyncio.sleep(QUIET_SECONDS)


async def take_down(cluster: Cluster, recorder: Recorder) -> None:
    """Take down what is left, what Redis has, and what each server answers, when all is over."""
    for program in cluster.programs:
        if not program.running:
            recorder.record(What.DIED, program.name, data=program.output[-OUTPUT_CHARACTERS:])
    tasks = set()
    async for task, number, kind, data in cluster.logs():
        tasks.add(task)
        recorder.record(What.FINAL_EVENT, "redis", task=task, number=number, kind=kind, data=data)
    async with aiohttp.ClientSession() as session:
        for url in cluster.urls:
            for task in tasks:
                since = time.time()
                async with session.get(f"{url}/task-status/{task}") as response:
                    about = {"status": response.status, "data": await response.text()}
                recorder.record(What.FINAL_STATUS, url, task=task, since=since, **about)
            async with session.get(f"{url}/health") as response:
                about = {"status": response.status, "data": await response.text()}
            recorder.record(What.FINAL_HEALTH, url, **about)


def report_of(plan: Plan, history: list[Observation]) -> Report:
    """Check a history, and count what there is in it."""
    facts = Facts(history)
    recoveries: dict[str, list[float]] = defaultdict(list)
    for each in facts.of(What.RECOVERED):
        recoveries[each.label].append(each.at - each.since)
    figures = {
        "faults": len(facts.of(What.FAULT)),
        "tasks": len(facts.by_task),
        "viewers": len(facts.views),
        "streams": len(facts.of(What.OPEN)),
        "events": len(facts.of(What.EVENT)),
    }
    return Report(plan, history, check(history), figures, dict(recoveries))
