"""What README and docs say is there, and is true."""

import re
import subprocess
from pathlib import Path

import pytest
import requests
from annotated_types import Le

from taskstream.server import ServerSettings
from taskstream.settings import Settings
from tests.benchmarks import test_chaos, test_soak
from tests.docs import test_installs, test_terminals
from tests.docs.pages import LANGUAGES, PAGES, SERVE, TEST, all_blocks, blocks, covered
from tests.support.programs import ROOT, Server

LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """What the headings of a page can be linked by."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, "examples/README.md", "examples/scraping/README.md"])
def test_links(page: str) -> None:
    """What a page links to is there, and so is the heading that it names."""
    for match in LINK.finditer((ROOT / page).read_text(encoding="utf-8")):
        target, _, anchor = (match[1] or match[2]).partition("#")
        if target.startswith("https://"):
            continue
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), f"{page} links to {target}"
        assert not anchor or anchor in anchors(path), f"{page} links to {target}#{anchor}"


def test_every_page_is_linked() -> None:
    """README leads to every page."""
    linked = {match[1] for match in LINK.finditer(PAGES["README.md"])}
    assert {page for page in PAGES if page != "README.md"} <= linked


@pytest.mark.parametrize("page", PAGES)
def test_languages(page: str) -> None:
    """Every block of code says what it is."""
    fences = re.findall(r"^```(.*)$", PAGES[page], re.MULTILINE)
    assert set(fences[::2]) <= LANGUAGES
    assert set(fences[1::2]) <= {""}


def test_every_terminal_is_run() -> None:
    """There is a test for every block for terminals."""
    assert all((test_chaos, test_installs, test_soak, test_terminals))
    assert covered == {(page, number) for page, number, _ in all_blocks("bash")}


def test_first_screen() -> None:
    """README begins with the two commands, and the first program is the one for one's own application."""
    assert [block.strip() for block in blocks("README.md", "sh")[:2]] == [
        SERVE,
        ".venv/bin/python client.py",
    ]
    assert "app.include_router(tasks.router" in blocks("README.md", "python")[0]
    assert len(PAGES["README.md"].splitlines()) < 200


def test_settings() -> None:
    """The table of settings is complete and true."""
    rows = re.findall(
        r"^\| `(--\S+)` \| `(\S+)` \| `(\S+)` \| (.*) \|$", PAGES["docs/operating.md"], re.MULTILINE
    )
    assert sorted(rows) == sorted(
        (f"--{name.replace('_', '-')}", f"TASKSTREAM_{name.upper()}", str(field.default), field.description)
        for name, field in ServerSettings.model_fields.items()
    )


def test_bounds_of_settings() -> None:
    """What a setting may be at the most stands below the table."""
    said = PAGES["docs/operating.md"].partition(" The most are ")[2].partition("\n\n")[0]
    assert re.findall(r"(\d[\d,]*)\s`--([\w-]+)`", said) == [
        (f"{bound.le:,}", name.replace("_", "-"))
        for name, field in Settings.model_fields.items()
        for bound in field.metadata
        if isinstance(bound, Le)
    ]


def test_metrics(server: Server) -> None:
    """The table of metrics is complete, and names no other."""
    metrics = requests.get(f"{server.url}/metrics", timeout=10).text
    assert set(re.findall(r"^\| `(taskstream_\w+)", PAGES["docs/operating.md"], re.MULTILINE)) == set(
        re.findall(r"^(taskstream_\w+)", metrics, re.MULTILINE)
    )
    outcomes = set(re.findall(r'outcome="(\w+)"', metrics))
    (row,) = re.findall(r"^\| `taskstream_streams_closed_.*$", PAGES["docs/operating.md"], re.MULTILINE)
    assert outcomes <= set(re.findall(r"`(\w+)`", row))


def test_traps() -> None:
    """lessons.md has a row for every trap, or more, and leads to the programs."""
    rows = re.findall(r"^\| .*$", PAGES["docs/lessons.md"].partition("## The traps")[2], re.MULTILINE)
    assert len(rows) - 2 >= len([*(ROOT / "examples" / "traps").glob("*.py")]) - 1  # show.py is none


def test_files() -> None:
    """Every program, every module of the core and every folder is in architecture.md."""
    house = PAGES["docs/architecture.md"].split("\n## The house\n")[1].split("\n## ")[0]
    named = set(re.findall(r"^\|.*$", house, re.MULTILINE))
    rows = set(re.findall(r"`([\w/]+(?:\.py|/))`", "\n".join(named)))
    package = ROOT / "taskstream"
    programs = {path.name for path in ROOT.glob("*.py")}
    core = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    tops = {name.partition("/")[0] + "/" for name in listing.stdout.splitlines() if "/" in name}
    rooms = set(re.findall(r"^taskstream/\w+/", listing.stdout, re.MULTILINE))
    folders = {top for top in tops if not top.startswith(".")} - {"taskstream/"}
    assert rows - {"tests/support/"} == programs | core | rooms | folders


def test_ci_runs_the_test_command() -> None:
    """CI runs the command that README names for the tests."""
    assert TEST in PAGES["README.md"].splitlines()
    assert "grep --max-count=1 'bin/python -m pytest$' README.md" in (ROOT / ".ci" / "run").read_text(
        encoding="utf-8"
    )


def test_nginx() -> None:
    """The two servers and the address of more-than-one-machine.md are those of deploy/nginx.conf."""
    page = PAGES["docs/more-than-one-machine.md"]
    conf = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    assert re.findall(r"server 127.0.0.1:(\d+)", conf) == re.findall(r"app.py .* --port (\d+)", page)
    assert re.findall(r"listen 127.0.0.1:(\d+)", conf) == re.findall(
        r"<http://localhost:(\d+)>:$", page, re.MULTILINE
    )
    assert re.findall(r"^nginx .*$", page, re.MULTILINE)[0] in conf
