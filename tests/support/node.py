"""Node's programs and packages, for what has to be checked, bundled or shown with them."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.programs import ROOT

STATIC = ROOT / "taskstream" / "http" / "static"

PACKAGES = (
    "@types/react@~19.2",
    "axe-core@~4.10",
    "esbuild@~0.25",
    "htmx.org@~2.0",
    "react@~19.2",
    "react-dom@~19.2",
    "typescript@~5.9",
)


def need(reason: str) -> None:
    """Skip the test, which is a failure under CI."""
    pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


def node() -> str:
    """The program `node`."""
    if shutil.which("node") is None:
        need("node is missing: see .ci/run for how to install it")
    return "node"


@pytest.fixture(scope="session")
def node_modules(pytestconfig: pytest.Config) -> Path:
    """The packages: installed by whichever process of the tests comes first, and kept for the next run."""
    if shutil.which("npm") is None:
        need("npm is missing: see .ci/run for how to install it")
    folder = pytestconfig.cache.mkdir("node")
    installed = folder / "installed.txt"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_text(encoding="utf-8").split() != [*PACKAGES]:
            install = ("npm", "install", "--no-audit", "--no-fund", "--prefer-offline", "--prefix", folder)
            done = subprocess.run([*install, *PACKAGES], capture_output=True, text=True, check=False)
            if done.returncode:
                need(f"npm could not install what is tested with:\n{done.stderr}")
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
