"""Each installation that README and docs name, in an environment of its own, and what is to be run next."""

import os
import re
import sys
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import pytest

from benchmarks.peers.ports import free_port
from tests.docs.pages import SERVE, Terminal, all_blocks, blocks, clone, terminals
from tests.docs.test_packaging import bounds
from tests.support.api import Api, check_story
from tests.support.backends import require
from tests.support.programs import ROOT, Server

pytestmark = pytest.mark.slow

INSTALL_SECONDS = 300
MINE = blocks("README.md", "python")[0]
MINE_WITH_REDIS = blocks("docs/more-than-one-machine.md", "python")[0]


class Machine:
    """A folder, and an environment that has nothing but Python: `run` has its programs on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = folder / "environment"
        self._path = f"{self._environment / 'bin'}:{os.environ['PATH']}:/usr/sbin"  # nginx is there

    def start(self, command: str, **environment: str) -> Terminal:
        """Begin a command."""
        if not self._environment.exists():
            venv.create(self._environment, with_pip=True)
        return Terminal(self.folder, command, PATH=self._path, PYTHONPATH="", VIRTUAL_ENV="", **environment)

    def run(self, command: str) -> str:
        """Run a command to its end; its output."""
        with self.start(command) as terminal:
            assert terminal.wait(INSTALL_SECONDS) == 0, terminal.output
        return terminal.output


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with nothing of ours."""
    folder = tmp_path / "mine"
    folder.mkdir()
    return Machine(folder)


@pytest.fixture
def cloned(tmp_path: Path) -> Machine:
    """A machine with a clone."""
    folder = tmp_path / "clone"
    clone(folder)
    return Machine(folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that lies elsewhere."""
    folder = tmp_path_factory.mktemp("source") / "clone"
    clone(folder)
    return folder


@contextmanager
def redis_server() -> Iterator[str]:
    """The command of more-than-one-machine.md, on a free port; what stands in its place in an URL."""
    (command,) = blocks("docs/more-than-one-machine.md", "bash")[0].splitlines()
    port = free_port()
    with Terminal(ROOT, f"{require(command)} --port {port} --save ''") as redis:
        redis.wait_for("Ready to accept connections")
        yield f"//localhost:{port}"


async def check_mine(session: aiohttp.ClientSession, url: str) -> None:
    """Start, stream and status of README's program, whose packages are found where it is installed."""
    api = Api(session, [f"{url}/jobs"])
    task = await api.start(start=1)
    check_story(await api.watch(task["task_id"]), "SUCCESS")
    assert (await api.status(task["task_id"]))["progress"] == 100
    async with session.post(f"{url}/albums?images=2") as response:
        assert response.status == 202
        album = await response.json()
    stream = await api.watch(album["task_id"])
    check_story(stream, "SUCCESS")
    assert stream[-1].snapshot["data"] == 2
    for path in ("/", "/static/page.js"):
        async with session.get(f"{url}/jobs{path}") as response:
            assert response.status == 200


def test_run_it(cloned: Machine) -> None:
    """README's first command installs and serves; the clients run in the environment that it has made."""
    with cloned.start(SERVE, TASKSTREAM_PORT="0") as server:
        url = server.serving(INSTALL_SECONDS)
        for client in ("client.py", "multiple_task.py", "sse_client.py"):
            output = cloned.run(f".venv/bin/python {client} --seconds 0 --url {url}")
            assert "SUCCESS" in output


@terminals("README.md", 0)
async def test_your_application(
    machine: Machine, source: Path, session: aiohttp.ClientSession, lines: list[str]
) -> None:
    """README's program, in a folder and an environment that know nothing of ours; it is typed."""
    install, serve = lines
    (machine.folder / "mine.py").write_text(MINE, encoding="utf-8")
    machine.run(install.replace("/path/to/clone", str(source)))
    assert "site-packages" in machine.run("python -c 'import taskstream; print(taskstream.__file__)'")
    assert "No broken requirements" in machine.run("pip check")
    types = f"{sys.executable} -m mypy --strict --python-executable environment/bin/python mine.py"
    assert "Success: no issues found" in machine.run(types)
    with machine.start(f"{serve} --port 0") as server:
        await check_mine(session, server.serving())


@terminals("docs/your-own-work.md", 1)
def test_tests(machine: Machine, source: Path, lines: list[str]) -> None:
    """The tests of an application pass beside the package alone and what the page names."""
    (program,) = [text for _, _, text in all_blocks("python") if "def test_task(" in text]
    (machine.folder / "mine.py").write_text(program, encoding="utf-8")
    install, test = lines
    machine.run(f"pip install -q {source}")
    machine.run(install)
    assert "2 passed" in machine.run(test)


def test_source_distribution(machine: Machine, source: Path) -> None:
    """The source distribution has the package, and no tests, examples or pictures; and installs."""
    machine.run("pip install -q build")
    machine.run(f"python -m build -q --sdist --outdir dist {source}")
    files = machine.run("tar tzf dist/*.tar.gz").split()
    tops = {name.split("/")[1] for name in files}
    assert tops == {
        *("taskstream", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "PKG-INFO", ".gitignore")
    }
    assert any(name.endswith("taskstream/py.typed") for name in files)
    machine.run("pip install -q dist/*.tar.gz")
    machine.run("python -c 'from taskstream import TaskStream; TaskStream().router'")


@terminals("docs/clients.md", 1)
def test_event_source(machine: Machine, source: Path, server: Server, lines: list[str]) -> None:
    """The EventSource of clients.md needs nothing of the server."""
    (install,) = lines
    machine.run(install.replace("/path/to/clone", str(source)))
    program = blocks("docs/clients.md", "python")[-1].replace("http://localhost:8000", server.url)
    (machine.folder / "mine.py").write_text(program, encoding="utf-8")
    assert "SUCCESS" in machine.run("python mine.py")


@terminals("docs/more-than-one-machine.md", 0, 1, 2, 3)
async def test_more_than_one_machine(
    cloned: Machine, session: aiohttp.ClientSession, lines: list[str]
) -> None:
    """Three terminals: Redis, a worker, a server; then two servers behind nginx."""
    _, work, serve, *two_servers, nginx = lines
    with ExitStack() as stack:
        here = stack.enter_context(redis_server())
        worker = stack.enter_context(cloned.start(work.replace("//localhost", here)))
        worker.wait_for(" ready", INSTALL_SECONDS)
        servers = [
            stack.enter_context(cloned.start(re.sub(r" --port \d+|$", " --port 0", command, count=1)))
            for command in (each.replace("//localhost", here) for each in (serve, *two_servers))
        ]
        urls = [server.serving() for server in servers]
        proxy = f"http://localhost:{adapt_nginx(cloned.folder, urls[1:])}"
        stack.enter_context(cloned.start(nginx)).wait_for("start worker process ")
        for url in (urls[0], proxy):
            api = Api(session, [url])
            assert (await api.json("GET", "/health"))["backend"] == "redis"
            check_story(await api.watch((await api.start(seconds=0))["task_id"]), "SUCCESS")
        asked = cloned.run(f"TASKSTREAM_REDIS_URL=redis:{here} .venv/bin/celery -A app:celery inspect ping")
        assert "1 node online" in asked


def adapt_nginx(folder: Path, urls: list[str]) -> int:
    """Have deploy/nginx.conf pass on to these servers; the port on which it listens now."""
    conf = folder / "deploy" / "nginx.conf"
    text, port = conf.read_text(encoding="utf-8"), free_port()
    for ours, url in zip((8001, 8002), urls, strict=True):
        text = text.replace(f"127.0.0.1:{ours}", url.removeprefix("http://"))
    conf.write_text(
        text.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("/tmp/", f"{folder}/"), encoding="utf-8"
    )
    folder.parent.chmod(0o711)  # started by root, nginx works as somebody else
    return port


@terminals("docs/more-than-one-machine.md", 4)
async def test_your_worker(
    machine: Machine, source: Path, session: aiohttp.ClientSession, lines: list[str]
) -> None:
    """One's own application with a worker and Redis."""
    install, work, serve = lines
    machine.run(install.replace("/path/to/clone", str(source)))
    with redis_server() as here:
        program = MINE_WITH_REDIS.replace("//localhost", here)
        (machine.folder / "mine.py").write_text(program, encoding="utf-8")
        with machine.start(work) as worker, machine.start(f"{serve} --port 0") as server:
            worker.wait_for(" ready")
            api = Api(session, [f"{server.serving()}/jobs"])
            assert (await api.json("GET", "/health"))["backend"] == "redis"
            stream = await api.watch((await api.start(images=2))["task_id"])
            check_story(stream, "SUCCESS")
            assert stream[-1].snapshot["data"] == 2


async def test_lower_bounds(machine: Machine, source: Path, session: aiohttp.ClientSession) -> None:
    """The oldest versions that pyproject.toml allows work: with uvicorn, with `serve`, and with Redis."""
    extras = ("server", "clients", "redis", "metrics")
    pinned = [
        f"{name}=={specifier.version}"
        for name, requirement in bounds(*extras).items()
        for specifier in requirement.specifier
    ]
    (machine.folder / "oldest.txt").write_text("\n".join(pinned), encoding="utf-8")
    (machine.folder / "mine.py").write_text(MINE, encoding="utf-8")
    machine.run(f"pip install -q -c oldest.txt '{source}[{','.join(extras)}]'")
    serve = "python -c 'from mine import app; from taskstream.server import serve; serve(app, port=0)'"
    for command in ("uvicorn mine:app --port 0", serve):
        with machine.start(command) as server:
            await check_mine(session, server.serving())
    with redis_server() as here:
        (machine.folder / "mine.py").write_text(
            MINE.replace("TaskStream()", f'TaskStream(redis_url="redis:{here}")')
            + "\ncelery = tasks.celery\n",
            encoding="utf-8",
        )
        work = "celery -A mine:celery worker --loglevel INFO"
        with machine.start(work) as worker, machine.start("uvicorn mine:app --port 0") as server:
            worker.wait_for(" ready")
            await check_mine(session, server.serving())


def test_lowest_versions(cloned: Machine) -> None:
    """The tests of the core and of the clients pass with the oldest versions that are declared."""
    names = "pytest|pytest-asyncio|pytest-xdist|hypothesis|httpx2|playwright|tqdm"
    lines = (ROOT / "tests" / "requirements.txt").read_text(encoding="utf-8")
    tools = " ".join(re.findall(rf"^(?:{names})~=.*", lines, re.MULTILINE))
    cloned.run("pip install -q uv")
    install = "uv pip install -q -p environment/bin/python --resolution lowest-direct"
    cloned.run(f"{install} '.[server,clients,metrics]' {tools}")
    cloned.run("python -m pytest -q tests/core tests/client")


@terminals("docs/performance.md", 0)
def test_benchmarks(cloned: Machine, lines: list[str]) -> None:
    """What performance.md says to install is enough to measure."""
    install, measure = lines
    cloned.run("python3 -m venv .venv")
    cloned.run(install)
    measure = measure.replace("--full", "--quick --only fan-out --servers ours")
    assert re.search(r"^\| ours \|", cloned.run(measure), re.MULTILINE)
