"""Our server with a WebSocket beside its streams: the same tasks, the same events, a message for each."""

import sys
from typing import cast

import uvicorn
from fastapi import FastAPI, WebSocket

import benchmarks.peers.ours  # noqa: F401 - it adds the work that emits
from app import create_app
from taskstream.http.lifespan import Shared
from taskstream.log import Follower
from taskstream.server.settings import Settings


def add_websocket(app: FastAPI) -> None:
    """Send events of a task by WebSocket."""

    @app.websocket("/task-socket/{task_id}")
    async def task_socket(websocket: WebSocket, task_id: str) -> None:
        shared = cast(Shared, websocket.state.shared)
        task = await shared.registry.get(task_id)
        await websocket.accept()
        with Follower(task.log, 0) as viewer:
            while events := await viewer.read():
                await websocket.send_text(events.decode())
        await websocket.close()


if __name__ == "__main__":
    app = create_app(Settings(port=int(sys.argv[1])))
    add_websocket(app)
    uvicorn.run(app, port=int(sys.argv[1]))
