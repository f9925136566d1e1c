"""Measure this project's server beside others, all driven by the same load in one run.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks --quick                    (some five minutes, for a first impression)
    python -m benchmarks --full                     (25 minutes; writes docs/benchmark.json and .svg)
    python -m benchmarks --full --only fan-out --servers ours nchan

Each server runs in a process of its own on a free port, one after the other, in rounds; figures are the
medians of all rounds. Absolute times depend on the machine and on what else it does: compare the ratios.
"""

import argparse
import json
import os
import shlex
import signal
import sys
from http.client import HTTPException
from math import isnan
from pathlib import Path

from benchmarks.chart import chart
from benchmarks.report import Results, machine, markdown, middle
from benchmarks.servers import PEERS, Figures
from benchmarks.workloads import WORKLOADS, Workload
from taskstream.server.serve import allow_many_connections

DOCS = Path(__file__).parent.parent / "docs"


def arguments() -> argparse.Namespace:
    """What the command line says."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small and once (the default)")
    size.add_argument("--full", action="store_true", help="the sizes for a result, in --rounds rounds")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="WORKLOAD")
    parser.add_argument("--servers", nargs="+", choices=PEERS, default=list(PEERS), metavar="SERVER")
    parser.add_argument("--rounds", type=int, help="how often each server has its turn (1; 3 if --full)")
    parser.add_argument("--output", type=Path, help="folder for benchmark.json and benchmark.svg")
    return parser.parse_args()


def present(names: list[str]) -> list[str]:
    """Those servers that are there; the others are named, with how to get them."""
    missing = {name: PEERS[name].missing() for name in names}
    for name, remedy in missing.items():
        if remedy:
            print(f"Left out: {name}. To have it: {remedy}", file=sys.stderr)
    return [name for name in names if not missing[name]]


def run(workload: Workload, sizes: Figures, names: list[str], rounds: int) -> Results:
    """The figures of each server in each round. Each round begins with another server."""
    results: Results = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            try:
                figures = workload.measure(name, **sizes)
            except (OSError, RuntimeError, HTTPException) as error:  # the others may still do well
                print(f"round {number + 1}: {name} failed: {error}", file=sys.stderr)
                continue
            results[name].append(figures)
            load = os.getloadavg()[0]
            summary = ", ".join(f"{key} {figure:.4g}" for key, figure in figures.items())
            print(f"round {number + 1}, load {load:.1f}: {name}: {summary}", file=sys.stderr)
    return results


def draw(results: Results, title: str, *captions: str) -> str:
    """CPU and latency as a chart."""

    def bars(key: str) -> dict[str, float]:
        medians = {name: middle(key, rounds) for name, rounds in results.items()}
        return {name: figure for name, figure in medians.items() if not isnan(figure)}

    return chart(
        title,
        {
            "µs of server CPU for each event delivered": bars("cpu_us"),
            "ms until 99 % of the events have arrived": bars("p99_ms"),
        },
        *captions,
    )


def main() -> None:
    """Run the workloads, print a table of each, and write the files."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as on Ctrl-C: no server is left behind
    options = arguments()
    rounds = options.rounds or (3 if options.full else 1)
    allow_many_connections()  # the servers and the load generator inherit it
    servers = present(options.servers)
    about = machine() | {"command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])}
    captions = ["{date}, {machine}, {system}, Python {python}".format(**about), about["command"]]
    measured: dict[str, Results] = {}
    svg = ""
    for name in options.only:
        workload = WORKLOADS[name]
        sizes = workload.full if options.full else workload.quick
        contestants = [each for each in workload.contestants if each in servers or each not in PEERS]
        if not contestants:
            continue
        measured[name] = run(workload, sizes, contestants, rounds)
        print(f"\n{markdown(workload, sizes, measured[name])}\n", flush=True)
        if name == "fan-out":
            svg = draw(measured[name], workload.title.format(**sizes), *captions)
    print("{}: `{}`".format(*captions))
    if output := options.output or (DOCS if options.full else None):
        output.mkdir(exist_ok=True)
        (output / "benchmark.json").write_text(json.dumps(about | {"results": measured}, indent=1) + "\n")
        if svg:
            (output / "benchmark.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
