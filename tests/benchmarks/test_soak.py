"""The load of `benchmarks/soak`, in small."""

import re

import pytest

from tests.support.programs import Program


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "loop", "allocator"),
    [
        ("attached", "uvloop", "pymalloc"),
        ("attached", "asyncio", "malloc"),
        ("sse-starlette", "uvloop", "malloc"),
        ("sse-starlette", "asyncio", "pymalloc"),
    ],
)
def test_soak(way: str, loop: str, allocator: str) -> None:
    """Hundreds of viewers that come, stall, are cut and resume lose nothing, and leave nothing behind."""
    load = ("--viewers", "300", "--seconds", "8", "--retention-seconds", "3")
    how = ("--way", way, "--loop", loop, "--allocator", allocator)
    with Program("-m", "benchmarks.soak", *load, *how) as program:
        assert program.wait(300) == 0, program.output
    counts = dict(re.findall(r"^(\w+) +([\d,]+)$", program.output, re.MULTILINE))
    assert (counts["lost"], counts["doubled"]) == ("0", "0")
    assert min(int(counts[name].replace(",", "")) for name in ("viewers", "cuts", "stalls")) > 300
