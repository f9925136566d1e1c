"""The load of `benchmarks/soak.py`, in small."""

import re

import pytest

from tests.support.programs import Program


@pytest.mark.slow
def test_soak() -> None:
    """Hundreds of viewers that come, stall, are cut and resume lose nothing, and leave nothing behind."""
    flags = ("--viewers", "300", "--seconds", "8", "--retention-seconds", "3")
    with Program("-m", "benchmarks.soak", *flags) as program:
        assert program.wait(120) == 0, program.output
    counts = dict(re.findall(r"^(\w+) +([\d,]+)$", program.output, re.MULTILINE))
    assert (counts["lost"], counts["doubled"]) == ("0", "0")
    assert min(int(counts[name].replace(",", "")) for name in ("viewers", "cuts", "stalls")) > 300
