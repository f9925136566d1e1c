"""Build the page, and serve it with its API through nginx, until Ctrl-C.

    python examples/scraping/run.py                  then open http://localhost:8080
    python examples/scraping/run.py --development    the same with React's checks, such as StrictMode's

You see, after a click, Login, Scraping and Analyzing one after the other, and what is found on each page.
It needs npm and nginx: on Debian, `apt-get install npm nginx`.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # so that a clone needs no installation

from examples.serving import add_port, check_port

FOLDER = Path(__file__).parent
FRONTEND = FOLDER / "frontend"
ROOT = FOLDER.parent.parent


def find(program: str) -> str:
    """The path of a program. Exits with a sentence if it is missing."""
    path = os.environ["PATH"] + os.pathsep + "/usr/sbin"  # where Debian has nginx, and people don't look
    if found := shutil.which(program, path=path):
        return found
    raise SystemExit(f"{program} not found: install it (on Debian: apt-get install {program}).")


def build(page: Path, mode: str) -> None:
    """Install what the page is made with, unless that has been done, and make it."""
    installed = FRONTEND / "node_modules" / ".package-lock.json"
    lock = FRONTEND / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run([find("npm"), "ci", "--no-audit", "--no-fund"], cwd=FRONTEND, check=True)
    command = [find("npm"), "run", "build", "--", "--mode", mode, "--outDir", str(page), "--emptyOutDir"]
    subprocess.run(command, cwd=FRONTEND, check=True, env={**os.environ, "NODE_ENV": mode})


def serve(folder: Path, port: int, api_port: int) -> None:
    """Run the API, and nginx before it, until one of them ends."""
    ports = {":8080": f":{port}", ":8000": f":{api_port}"}
    conf = (FOLDER / "nginx.conf").read_text(encoding="utf-8")
    conf = re.sub(":8080|:8000", lambda found: ports[found[0]], conf)
    folder.chmod(0o755)  # nginx that is started by root reads the page as another user
    (folder / "nginx.conf").write_text(conf, encoding="utf-8")
    api = [sys.executable, "-m", "uvicorn", "examples.scraping.api:app", "--port", str(api_port)]
    nginx = [find("nginx"), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    with ExitStack() as stack:
        for command in (api, nginx):
            process = stack.enter_context(subprocess.Popen(command, cwd=ROOT))
            stack.callback(process.terminate)
        print(f"Open http://localhost:{port}", flush=True)
        os.wait()
        raise SystemExit("The API or nginx has stopped: see the messages above.")


def main() -> None:
    """Build, then serve."""
    parser = argparse.ArgumentParser(description="Build the page, and serve it through nginx.")
    add_port(parser, default=8080)
    add_port(parser, "--api-port")
    parser.add_argument("--development", action="store_true", help="build for development")
    arguments = parser.parse_args()
    check_port(parser, arguments.port)
    check_port(parser, arguments.api_port, "--api-port")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as on Ctrl-C
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
        build(Path(folder) / "html", "development" if arguments.development else "production")
        serve(Path(folder), arguments.port, arguments.api_port)


if __name__ == "__main__":
    main()
