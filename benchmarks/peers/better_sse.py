"""better-sse, on Node: this program installs it into a cache folder, then becomes better_sse.mjs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = "better-sse@0.16"
FOLDER = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "task-progress-benchmarks"


def missing() -> str:
    """What to do if it can't be had."""
    if not (shutil.which("node") and shutil.which("npm")):
        return "install Node.js 20 or newer, with npm"
    if not (FOLDER / "node_modules" / "better-sse").exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", PACKAGE]
        if subprocess.run(install, cwd=FOLDER, check=False).returncode:
            return f"make `npm install {PACKAGE}` work in {FOLDER}"
    return ""


if __name__ == "__main__":
    program = str(Path(__file__).with_suffix(".mjs"))
    os.execvp("node", ["node", program, sys.argv[1], str(FOLDER)])
