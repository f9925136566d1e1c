"""Servers in threads of the tests' own process."""

import asyncio
import socket
from threading import Event, Thread
from typing import Literal, Self

import uvicorn
from fastapi import FastAPI


class ThreadServer(uvicorn.Server):
    """An application on a server of its own, in a thread, on a free port."""

    def __init__(
        self, app: FastAPI, http: type[asyncio.Protocol] | Literal["auto"] = "auto", root_path: str = ""
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app, port=0, http=http, root_path=root_path, log_config=None, timeout_graceful_shutdown=5
            )
        )
        self.listening = Event()
        self.thread = Thread(target=self.run, name="server", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        assert self.listening.wait(10), "The server has not started"
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where."""
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1] if self.started else 0
        self.url = f"http://127.0.0.1:{port}"
        self.listening.set()

    def stop(self) -> None:
        """Tell it to stop, as an application would, and wait for its end."""
        self.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive()
