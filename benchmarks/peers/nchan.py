"""nchan, the publish-and-subscribe module of nginx: this process starts nginx, and publishes to it by HTTP.

Its own CPU and memory are not counted, only those of nginx.
"""

import asyncio
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import ClientSession, web

from benchmarks.emission import Emission, snapshot
from benchmarks.peers.ports import free_port
from benchmarks.peers.tasks import to_json

MODULE = "ngx_nchan_module.so"
CONFIGURATION = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
load_module {module};
worker_processes 1;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    nchan_message_buffer_length 1000;
    server {{
        listen 127.0.0.1:{port} backlog=65535;
        location = /start-task {{ proxy_pass http://127.0.0.1:{publisher_port}; }}
        location ~ ^/task-progress/(\\w+)$ {{ nchan_subscriber eventsource; nchan_channel_id $1; }}
        location ~ ^/publish/(\\w+)$ {{ nchan_publisher; nchan_channel_id $1; }}
    }}
}}
"""


def find_module() -> Path | None:
    """The module: where the variable NCHAN_MODULE says, or where nginx looks for modules."""
    if named := os.environ.get("NCHAN_MODULE"):
        return Path(named)
    if not shutil.which("nginx"):
        return None
    version = subprocess.run(["nginx", "-V"], capture_output=True, text=True, check=False).stderr
    for folder in re.findall(r"--modules-path=(\S+)", version):
        if (module := Path(folder) / MODULE).exists():
            return module
    return None


def missing() -> str:
    """What to do if the module is not there."""
    return "" if find_module() else f"apt install libnginx-mod-nchan (or NCHAN_MODULE=/path/to/{MODULE})"


class Publisher:
    """Emits the events of all tasks."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/publish"
        self._runs: set[asyncio.Task[None]] = set()

    async def session(self, _: web.Application) -> AsyncIterator[None]:
        """Keep connections to nginx as long as the program lives."""
        async with ClientSession() as self._session:
            yield

    async def start_task(self, request: web.Request) -> web.Response:
        """Start a task."""
        body = await request.json()
        task_id = secrets.token_hex(16)
        emission = Emission(body["rate"], body["events"], body["delay"])
        self._runs.add(asyncio.create_task(self._run(task_id, emission)))
        return web.json_response({"task_id": task_id})

    async def _run(self, task_id: str, emission: Emission) -> None:
        async for number in emission.numbers():
            data = to_json(snapshot(task_id, emission, number))
            async with self._session.post(f"{self._url}/{task_id}", data=data.encode()) as response:
                response.raise_for_status()


async def main() -> None:
    """Run the publisher, then nginx, until SIGTERM."""
    port, publisher_port = int(sys.argv[1]), free_port()
    publisher = Publisher(port)
    app = web.Application()
    app.cleanup_ctx.append(publisher.session)
    app.router.add_post("/start-task", publisher.start_task)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", publisher_port).start()
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    with TemporaryDirectory() as folder:
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                user="user root;" if os.geteuid() == 0 else "",  # or it couldn't use the folder
                folder=folder,
                module=find_module(),
                port=port,
                publisher_port=publisher_port,
            )
        )
        nginx = await asyncio.create_subprocess_exec(
            "nginx", "-c", configuration, "-p", folder, "-e", f"{folder}/error.log"
        )
        await terminated.wait()
        nginx.terminate()
        await nginx.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
