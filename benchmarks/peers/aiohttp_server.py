"""aiohttp-sse, whose JSON is encoded once for all viewers."""

import sys

import uvloop
from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from benchmarks.emission import Emission
from benchmarks.peers.tasks import Tasks, to_json

routes = web.RouteTableDef()
tasks: Tasks[tuple[str, str]] = Tasks(lambda number, data: (str(number), to_json(data)))


@routes.post("/start-task")
async def start_task(request: web.Request) -> web.Response:
    """Start a task."""
    body = await request.json()
    return web.json_response(tasks.start(Emission(body["rate"], body["events"], body["delay"])))


@routes.get("/task-progress/{task_id}")
async def task_progress(request: web.Request) -> EventSourceResponse:
    """Stream a task."""
    async with sse_response(request) as response:
        with tasks.watch(request.match_info["task_id"]) as queue:
            while event := await queue.get():
                number, data = event
                await response.send(data, id=number)
    return response


if __name__ == "__main__":
    app = web.Application()
    app.add_routes(routes)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), loop=uvloop.new_event_loop(), backlog=2048)
