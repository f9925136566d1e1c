"""Node's programs and packages, for what has to be checked, bundled or shown with them."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.backends import give_up, require
from tests.support.programs import ROOT

STATIC = ROOT / "taskstream" / "browser"

PACKAGES = (
    "@types/react@~19.2",
    "axe-core@~4.10",
    "esbuild@~0.25",
    "htmx2@npm:htmx.org@~2.0",
    "htmx4@npm:htmx.org@~4.0",
    "lit@~3.3",
    "openapi-typescript@~7.13",
    "preact@~11.2",
    "react@~19.2",
    "react-dom@~19.2",
    "svelte@~5.57",
    "typescript@~5.9",
    "vue@~3.5",
)


@pytest.fixture(scope="session")
def node_modules(pytestconfig: pytest.Config) -> Path:
    """The packages: installed by whichever process of the tests comes first, and kept for the next run."""
    npm = require("npm")
    folder = pytestconfig.cache.mkdir("node")
    installed = folder / "installed.txt"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_text(encoding="utf-8").split() != [*PACKAGES]:
            install = (npm, "install", "--no-audit", "--no-fund", "--prefer-offline", "--prefix", folder)
            done = subprocess.run([*install, *PACKAGES], capture_output=True, text=True, check=False)
            if done.returncode:
                give_up(f"npm could not install what is tested with:\n{done.stderr}")
            installed.write_text("\n".join(PACKAGES), encoding="utf-8")
    return folder / "node_modules"


def bundle(node_modules: Path, entry: Path) -> str:
    """A script and all that it imports, as one."""
    esbuild = node_modules / "esbuild" / "bin" / "esbuild"
    done = subprocess.run(
        [
            str(esbuild),
            "--bundle",
            "--format=esm",
            "--jsx=automatic",
            "--preserve-symlinks",
            '--define:process.env.NODE_ENV="development"',
            str(entry),
        ],
        env={**os.environ, "NODE_PATH": str(node_modules)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
