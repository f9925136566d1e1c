"""Kill a server whose tasks are in a file, again and again, and check what everybody has seen of it.

    python -m benchmarks.chaos.restarts                              (half a minute)
    python -m benchmarks.chaos.restarts --seconds 120 --seed 7
    python -m benchmarks.chaos.restarts --mutant keys-apart          (without a safeguard: it is noticed)

Tasks are started with and without keys, watched, cancelled, and report and print, while the server dies by
SIGKILL at random moments, and is started again at once. Exit code 1 if a promise was broken.
"""

import argparse
import asyncio
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import aiohttp
import psutil

from benchmarks.chaos.application import WORKS_VARIABLE
from benchmarks.chaos.checker import check
from benchmarks.chaos.facts import Facts
from benchmarks.chaos.file_mutants import FILE_MUTANTS
from benchmarks.chaos.history import What
from benchmarks.chaos.limits import Limits
from benchmarks.chaos.load import Load
from benchmarks.chaos.programs import Program, python
from benchmarks.chaos.recorder import Recorder
from benchmarks.chaos.viewers import Surroundings
from benchmarks.peers.ports import free_port

LIFE_SECONDS = (0.1, 0.5, 2)
"""How long a server lives at the most."""

FAULT = "worker-killed, which is the server"
SETTLE_SECONDS = 60


def events_in(path: Path) -> Iterator[tuple[str, int, str, bytes]]:
    """All events that are in the file: the task, the number, the kind and the data."""
    connection = sqlite3.connect(path)
    yield from connection.execute(
        "SELECT json_extract(first.data, '$[0]'), events.id, events.kind, CAST(events.data AS BLOB) "
        "FROM events JOIN events AS first ON events.task = first.number WHERE events.id"
    )
    for task, lines, last_id, latest in connection.execute(
        "SELECT task_id, events, last_id, latest FROM tasks"
    ):
        for line in lines.splitlines():
            number, kind, data = line.split(b" ", 2)
            yield task, int(number), kind.decode(), data
        yield task, last_id, "last", latest
    connection.close()


async def kill(server: Program, until: float, draw: Random, recorder: Recorder) -> None:
    """Kill the server again and again, also while it starts."""
    while time.time() < until:
        await asyncio.sleep(draw.uniform(0, draw.choice(LIFE_SECONDS)))
        for child in server.children():
            recorder.record(What.FAULT, "nemesis", label=FAULT)
            with suppress(psutil.NoSuchProcess):
                child.kill()
                child.wait()
            recorder.record(What.HEALED, "nemesis", label=FAULT)
    recorder.record(What.CALM, "nemesis")


async def torment(server: Program, url: str, recorder: Recorder, draw: Random, seconds: float) -> None:
    """Let clients and the nemesis loose on a server, until all has come to its end."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        load = Load(Surroundings(session, [url], recorder, Random(draw.random())))
        await load.probe(url)
        until = time.time() + seconds
        with suppress(TimeoutError):  # the checker finds what has not ended
            async with asyncio.timeout(seconds + SETTLE_SECONDS):
                await asyncio.gather(load.run(until + 1), kill(server, until, draw, recorder))
                await load.probe(url)


async def take_down(path: Path, url: str, recorder: Recorder) -> None:
    """Take down what the file has in the end, and what the server answers."""
    tasks = set()
    for task, number, kind, data in events_in(path):
        tasks.add(task)
        about = {"kind": "output" if kind == "output" else "", "data": data.decode()}
        recorder.record(What.FINAL_EVENT, "file", task=task, number=number, **about)
    async with aiohttp.ClientSession() as session:
        for task in tasks:
            since = time.time()
            async with session.get(f"{url}/task-status/{task}") as response:
                status, text = response.status, await response.text()
            recorder.record(What.FINAL_STATUS, url, task=task, since=since, status=status, data=text)
        async with session.get(f"{url}/health") as response:
            status, text = response.status, await response.text()
        recorder.record(What.FINAL_HEALTH, url, status=status, data=text)


async def run(folder: Path, seed: int, seconds: float, mutant: str) -> bool:
    """One run with its files in a folder; whether every promise was kept."""
    draw, port, path = Random(seed), free_port(), folder / "tasks.db"
    flags = ["--port", str(port), "--database", str(path), "--ping-seconds", "1"]
    environment = {WORKS_VARIABLE: str(folder / "works.jsonl"), "TASKSTREAM_RETENTION_SECONDS": "3600"}
    command = python("benchmarks.chaos.phoenix", mutant, *flags, mutant=None)
    server = Program("server", command, folder / "server.log", **environment)
    server.start()
    url = f"http://127.0.0.1:{port}"
    try:
        with Recorder(folder / "history.jsonl", folder / "works.jsonl") as recorder:
            recorder.record(What.LIMITS, "server", data=Limits(retention_seconds=3600).to_json())
            await torment(server, url, recorder, draw, seconds)
            await take_down(path, url, recorder)
            history = recorder.history()
    finally:
        server.kill_all()
    # Works run in the server, whose connections are no business of theirs.
    facts, broken = Facts(history), [each for each in check(history) if each.promise != "nothing kept"]
    for each in broken[:20]:
        print(f"BROKEN ({each.promise}): {each.text}")
    kills, tasks, events = len(facts.of(What.FAULT)), len(facts.by_task), len(facts.of(What.EVENT))
    print(f"Seed {seed}: {kills} kills, {tasks} tasks, {events} events seen, {len(broken)} promises broken")
    return not broken


def main() -> None:
    """Run, and say what came of it."""
    assert __doc__
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (default: 1)")
    parser.add_argument("--seconds", type=float, default=30, help="how long it is killed (default: 30)")
    parser.add_argument("--mutant", choices=FILE_MUTANTS, default="none", help="switch off one safeguard")
    parser.add_argument("--folder", type=Path, help="for history and output (default: a temporary one)")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="restarts-"))
    folder.mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as on Ctrl-C: nothing is left behind
    if asyncio.run(run(folder, options.seed, options.seconds, options.mutant)):
        shutil.rmtree(folder)
        return
    print(f"The files are in {folder}.")
    sys.exit(1)


if __name__ == "__main__":
    main()
