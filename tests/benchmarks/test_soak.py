"""The load of `benchmarks/soak`, in small."""

import re
import shlex

import pytest

from tests.docs.pages import terminals
from tests.support.programs import Program


@pytest.mark.slow
@terminals("docs/reliability.md", 0)
@pytest.mark.parametrize(
    ("way", "loop", "allocator"),
    [
        ("attached", "uvloop", "pymalloc"),
        ("attached", "asyncio", "malloc"),
        ("sse-starlette", "uvloop", "malloc"),
        ("sse-starlette", "asyncio", "pymalloc"),
    ],
)
def test_soak(lines: list[str], way: str, loop: str, allocator: str) -> None:
    """Hundreds of viewers that come, stall, are cut and resume lose nothing, and leave nothing behind."""
    load = ("--viewers", "300", "--seconds", "8", "--retention-seconds", "3")
    how = ("--way", way, "--loop", loop, "--allocator", allocator)
    _, *command = shlex.split(lines[0])
    with Program(*command, *load, *how) as program:
        assert program.wait(300) == 0, program.output
    counts = dict(re.findall(r"^(\w+) +([\d,]+)$", program.output, re.MULTILINE))
    assert (counts["lost"], counts["doubled"]) == ("0", "0")
    assert min(int(counts[name].replace(",", "")) for name in ("viewers", "cuts", "stalls")) > 100
