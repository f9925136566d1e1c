"""Torment servers, workers and Redis, and check what everybody has seen of it.

    pip install -r requirements-redis.txt -r benchmarks/requirements.txt
    python -m benchmarks.chaos                              (a minute, with every fault)
    python -m benchmarks.chaos --seed 7 --seconds 60 --faults redis-killed lid
    python -m benchmarks.chaos --runs 20                    (half an hour: the figures for a report)
    python -m benchmarks.chaos --mutant no-jump             (without a safeguard: it has to be noticed)

A cluster of two servers, two workers with three processes each, and Redis runs on this machine, on free
ports of the loopback interface. Tasks are started, watched and cancelled while a nemesis does its work.
The seed also decides on limits: short logs, short retention, or few places for tasks.
Exit code 1 if a promise was broken: the history of such a run is kept in --folder.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.mutants import MUTANTS
from benchmarks.chaos.run import Plan, Report, run
from benchmarks.chaos.tables import recoveries, runs, violations


def arguments() -> argparse.Namespace:
    """What the command line says."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos",
        description=__doc__,
        epilog="Mutants:\n" + "\n".join(f"  {name:24}{each.without}" for name, each in MUTANTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (default: 1)")
    parser.add_argument("--seconds", type=float, default=60, help="how long faults come (default: 60)")
    parser.add_argument("--runs", type=int, default=1, help="how many, with one seed after another")
    parser.add_argument(
        "--faults",
        nargs="+",
        choices=FAULTS,
        metavar="FAULT",
        help=f"only these, of {', '.join(FAULTS)}",
    )
    parser.add_argument("--together", action="store_true", help="all of those faults at the same time")
    parser.add_argument("--mutant", choices=MUTANTS, metavar="NAME", help="switch off one safeguard")
    parser.add_argument("--folder", type=Path, help="for histories and output (default: a temporary one)")
    parser.add_argument("--keep", action="store_true", help="keep the files of runs in which all was well")
    return parser.parse_args()


def plan_of(options: argparse.Namespace, seed: int) -> Plan:
    """What is run with this seed. A mutant brings the faults that it is weak against."""
    faults = options.faults or (options.mutant and MUTANTS[options.mutant].faults) or tuple(FAULTS)
    return Plan(seed, options.seconds, faults, options.mutant, options.together)


def run_one(plan: Plan, folder: Path, *, keep: bool) -> Report:
    """Run a plan, say what was wrong, and clean up unless something was."""
    report = asyncio.run(run(plan, folder))
    if report.violations:
        print(violations(report), f"The files are in {folder}.", sep="\n", flush=True)
    elif not keep:
        shutil.rmtree(folder)
    return report


def main() -> None:
    """Run, and print tables; exit code 1 if a promise was broken."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as on Ctrl-C: no process is left behind
    options = arguments()
    parent = options.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    reports = []
    for seed in range(options.seed, options.seed + options.runs):
        folder = parent / f"seed-{seed}"
        if folder.exists():
            raise SystemExit(f"{folder} is there already: remove it, or give another --folder.")
        reports.append(run_one(plan_of(options, seed), folder, keep=options.keep))
        print(runs(reports[-1:]), flush=True)
    if options.runs > 1:
        print(runs(reports))
    print(recoveries(reports))
    sys.exit(any(report.violations for report in reports))


if __name__ == "__main__":
    main()
