"""The crash test of `benchmarks/chaos/restarts.py`, for a short time."""

import re
from pathlib import Path

import pytest

from tests.support.programs import Program

SECONDS = 120
"""How long a short run may take, on a slow machine."""


@pytest.mark.slow
def test_killed_at_random(tmp_path: Path) -> None:
    """Whenever the server is killed, every promise is kept."""
    flags = ("--seconds", "15", "--folder", str(tmp_path / "run"))
    with Program("-m", "benchmarks.chaos.restarts", *flags) as program:
        assert program.wait(SECONDS) == 0, program.output
    (figures,) = re.findall(r"(\d+) kills, (\d+) tasks, (\d+) events", program.output)
    assert min(map(int, figures)) >= 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "promise"),
    [
        ("shown-before-written", "kept starts|one value"),  # whichever a crash breaks first
        ("keys-apart", "one task per key"),
        ("ids-from-memory", "one value"),
    ],
)
def test_a_missing_safeguard_is_noticed(mutant: str, promise: str, tmp_path: Path) -> None:
    """Without a safeguard a promise is broken, and the checker says which."""
    flags = ("--seconds", "10", "--mutant", mutant, "--folder", str(tmp_path / "run"))
    with Program("-m", "benchmarks.chaos.restarts", *flags) as program:
        assert program.wait(SECONDS) == 1, program.output
    assert re.search(rf"BROKEN \(({promise})\)", program.output)
