"""The faults of `benchmarks/chaos`, for a short time; `python -m benchmarks.chaos --runs 20` is longer."""

import re
import shlex
import signal

import psutil
import pytest

from tests.docs.pages import terminals
from tests.support.backends import require
from tests.support.programs import Program

FIT = """
import os
from benchmarks.chaos.file_mutants import FILE_MUTANTS
from benchmarks.chaos.mutants import MUTANTS

for name, mutant in (MUTANTS | FILE_MUTANTS).items():
    if not (child := os.fork()):
        mutant.switch_off()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, name
"""
SECONDS = 120
"""How long a short run may take, on a slow machine."""


@pytest.fixture(autouse=True)
def _redis() -> None:
    require("redis-server")


@pytest.mark.slow
@terminals("docs/reliability.md", 1)
@pytest.mark.parametrize("seed", [1, 5, 9], ids=["short logs", "short retention", "few places"])
def test_faults(lines: list[str], seed: int) -> None:
    """Whatever strikes servers, workers and Redis, every promise is kept."""
    _, *command = shlex.split(lines[0])
    with Program(*command, "--runs", "1", "--seed", str(seed), "--seconds", "20") as program:
        assert program.wait(SECONDS) == 0, program.output
    (figures,) = re.findall(rf"^\| {seed} +\|(.*)\|$", program.output, re.MULTILINE)
    faults, tasks, viewers, _, events, broken = map(int, figures.split("|"))
    assert broken == 0
    assert faults >= 2
    assert min(tasks, viewers, events) >= 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "promise"), [("keys-ignored", "one task per key"), ("forgotten-too-soon", "kept starts")]
)
def test_a_missing_safeguard_is_noticed(mutant: str, promise: str) -> None:
    """Without a safeguard a promise is broken, and the checker says which."""
    flags = ("--seed", "1", "--seconds", "5", "--mutant", mutant)
    with Program("-m", "benchmarks.chaos", *flags) as program:
        assert program.wait(SECONDS) == 1, program.output
    assert f"BROKEN ({promise})" in program.output


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_behind(number: int) -> None:
    """Ctrl-C ends all processes of a cluster, suspended ones as well."""
    with Program("-m", "benchmarks.chaos", "--faults", "lid") as program:
        program.wait_for("the cluster is ready", SECONDS)
        processes = psutil.Process(program.process.pid).children(recursive=True)
        assert len(processes) >= 5 + 2 * 3  # Redis, servers, workers and their processes
        while all(process.status() != psutil.STATUS_STOPPED for process in processes):
            pass
        program.stop(number, seconds=30)
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive


def test_every_mutant_fits_the_code() -> None:
    """Each safeguard that can be switched off is still there."""
    with Program("-c", FIT) as program:
        assert program.wait(30) == 0, program.output
