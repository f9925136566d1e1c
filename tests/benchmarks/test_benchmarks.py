"""The benchmark suite runs, and says what it measured."""

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.chart import chart
from benchmarks.emission import piece
from benchmarks.reader import Reader, Reading
from benchmarks.report import markdown
from benchmarks.viewer import Watch
from benchmarks.workloads import WORKLOADS
from tests.support.programs import ROOT

pytestmark = pytest.mark.slow


def run(*arguments: str) -> str:
    """What `python -m …` prints."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=120
    ).stdout


def test_fan_out(tmp_path: Path) -> None:
    """A table for README, the figures as JSON, a chart; all events have arrived."""
    servers = ("ours", "bare-uvloop")
    output = run(
        "benchmarks", "--quick", "--only", "fan-out", "--servers", *servers, "--output", str(tmp_path)
    )
    for server in servers:
        assert f"| {server} | " in output
    results = json.loads((tmp_path / "benchmark.json").read_text(encoding="utf-8"))["results"]["fan-out"]
    for server in servers:
        (figures,) = results[server]
        assert 80 < figures["received_percent"] < 120
        assert figures["cpu_us"] > 0
        assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    ElementTree.parse(tmp_path / "benchmark.svg")


def test_other_workloads_of_ours() -> None:
    """Each prints a line for our server."""
    workloads = ("burst", "output", "reconnect-storm", "requests", "busy", "events", "hot-loop")
    output = run("benchmarks", "--quick", "--only", *workloads, "--servers", "ours")
    assert output.count("\n| ours | ") == len(workloads)


def stream_of(*numbers: int) -> bytes:
    """A stream with these pieces of a text, as chunks of an HTTP/1.1 body."""
    events = [b'event: output\ndata: {"text":"%b"}\n\n' % piece(number).encode() for number in numbers]
    return b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)


@pytest.mark.parametrize(
    ("numbers", "whole", "wrong"),
    [((1, 2, 3), 1, 0), ((1, 2), 0, 0), ((1, 3), 0, 1), ((2, 1, 3), 0, 1), ((1, 1, 2, 3), 0, 1)],
)
async def test_a_text_is_compared_byte_for_byte(numbers: tuple[int, ...], whole: int, wrong: int) -> None:
    """What is missing, doubled or out of order is noticed, wherever the stream is cut into pieces."""
    data = stream_of(*numbers)
    for size in range(1, len(data) + 1):
        reading = Reading.of(3)
        reader = Reader(Watch(napping=True), "/", reading)
        for start in range(0, len(data), size):
            reader.data_received(data[start : start + size])
        assert (reading.whole, reading.wrong) == (whole, wrong)


def test_figures_are_compared_with_ours_and_ours_with_nchan() -> None:
    """A table says how many times ours each figure is, and how many times nchan's ours is."""
    figures = dict.fromkeys([column.key for column in WORKLOADS["fan-out"].columns], 1.0)
    results = {"ours": [figures | {"cpu_us": 9}], "nchan": [figures | {"cpu_us": 12}]}
    rows = markdown(WORKLOADS["fan-out"], WORKLOADS["fan-out"].quick, results).splitlines()[-2:]
    assert [row.split(" | ")[1] for row in rows] == ["9.0 (0.75× nchan)", "12.0 (1.33×)"]


def test_transports() -> None:
    """Every transport shows all that happens, the later the more seldom it asks."""
    output = run("benchmarks.transports", "--viewers", "10", "--seconds", "2")
    rows = [line.split(" | ") for line in output.splitlines() if line.startswith("| ")][2:]
    staleness = {row[0].strip("| "): float(row[3].replace(",", "")) for row in rows}
    assert len(staleness) == 5
    assert staleness["Server-Sent Events"] < staleness["polling, every 2 s"]


def test_element() -> None:
    """A page with elements, and one with output, has frames, and a main thread that is not always busy."""
    output = run("benchmarks.element", "--elements", "5", "--seconds", "1")
    rows = [line.strip("| ").split(" | ") for line in output.splitlines() if " | ours | " in line]
    assert len(rows) == 2
    for _, _, busy, _, _, _, frames, *_ in rows:
        assert 0 < float(busy) < 100
        assert float(frames) > 0


def test_a_name_in_a_chart_is_text() -> None:
    """Whatever the bars are called, it is an SVG that can be read."""
    svg = chart("1 < 2", {"<title> & more": {"ours": 1, "a<b": 100}}, "caption")
    ElementTree.fromstring(svg)


def test_a_chart_shows_how_much_longer() -> None:
    """Ten times as much is one step of the scale further, however large, and the scale says so."""
    svg = chart("Times", {"ms": {"ours": 5, "ten": 50, "hundred": 500, "thousand": 5000}})
    bars = [float(width) for width in re.findall(r'class="bar.*?width="([\d.]+)"', svg)]
    steps = [longer - shorter for shorter, longer in pairwise(bars)]
    assert max(steps) - min(steps) < 0.3
    for tick in ("2", "5", "10", "100", "200", "1,000", "5,000"):
        assert f">{tick}</text>" in svg
