"""README and docs: their blocks of code, and what the language of a block says.

`sh`: commands that end by themselves, run in a clone beside a server. `bash`: commands for terminals that
stay open, or for an environment of one's own. `python`: whole programs. Anything else is only shown.
"""

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.programs import ROOT, Program

LANGUAGES = {"sh", "bash", "python", "text", "html", "js", "jsx", "tsx", "css", "mermaid"}

PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
}

SERVE = "python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt && .venv/bin/python app.py"
TEST = (
    "python3 -m venv .venv && .venv/bin/pip install -q -r tests/requirements.txt "
    "&& .venv/bin/python -m pytest"
)

covered: set[tuple[str, int]] = set()
"""The blocks for terminals that tests run."""


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code on a page that are in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


def all_blocks(language: str) -> list[tuple[str, int, str]]:
    """The blocks of all pages: the page, the number on it, and the text."""
    return [(page, number, text) for page in PAGES for number, text in enumerate(blocks(page, language))]


def terminals(page: str, *numbers: int) -> pytest.MarkDecorator:
    """Give a test the lines of these `bash` blocks, as `lines`."""
    covered.update((page, number) for number in numbers)
    lines = [line for number in numbers for line in blocks(page, "bash")[number].splitlines()]
    return pytest.mark.parametrize("lines", [lines], ids=[Path(page).stem])


def clone(folder: Path) -> None:
    """What somebody gets who clones the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listing.rstrip("\0").split("\0"):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


class Terminal(Program):
    """A command line in a shell, in some folder; with all that it has started, it is killed on leaving."""

    executable = ("bash", "-c")
    process_group = 0

    def __init__(self, folder: Path, command: str, **environment: str) -> None:
        self.folder = folder
        super().__init__(command, **environment)

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):  # everything has ended by itself
            os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def serving(self, seconds: float = 300) -> str:
        """The address of the server that it starts, once it is there; it may have to install first."""
        return self.wait_for(r"running on (http://\S+)", seconds)[1]
