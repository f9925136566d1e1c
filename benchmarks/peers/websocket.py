"""Our server with a WebSocket beside its streams: the same tasks, the same events, a message for each."""

import sys

import uvicorn
from fastapi import WebSocket

from benchmarks.peers.ours import app, tasks
from taskstream.viewers import Follower


@app.websocket("/task-socket/{task_id}")
async def task_socket(websocket: WebSocket, task_id: str) -> None:
    """Send the events of a task by WebSocket."""
    task = await tasks.find(task_id, None)
    await websocket.accept()
    with Follower(task.log, 0) as viewer:
        while events := await viewer.read():
            await websocket.send_text(events.decode())
    await websocket.close()


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]))
