"""How an application finds out that its server has been told to stop.

ASGI says so only when all responses have ended, and streams end only when they know. uvicorn keeps it in
`Server.should_exit`, but tells nobody where that server is; and sse-starlette has one flag for the whole
process, which stays set for every server that is started later. So the server is looked for where it
must be: in the asyncio task that runs it, on this event loop.
"""

import asyncio
from typing import Protocol, cast

POLL_SECONDS = 0.1
"""As often as uvicorn itself looks."""


class UvicornServer(Protocol):
    """What we need to know of uvicorn's server."""

    started: bool
    should_exit: bool


async def until_server_stops() -> None:
    """Return when the server that is just starting this application has been told to stop; else never."""
    if server := starting_server():
        while not server.should_exit:  # noqa: ASYNC110 - uvicorn has nothing to wait for
            await asyncio.sleep(POLL_SECONDS)
    else:
        await asyncio.Event().wait()


def starting_server() -> UvicornServer | None:
    """The uvicorn server on this event loop that waits for its application to start, if there is one."""
    for task in asyncio.all_tasks():
        awaited: object = task.get_coro()
        while awaited is not None:
            frame = getattr(awaited, "cr_frame", None)
            owner = frame.f_locals.get("self") if frame else None
            if hasattr(owner, "should_exit") and hasattr(owner, "server_state"):
                server = cast(UvicornServer, owner)
                if not server.started:
                    return server
            awaited = getattr(awaited, "cr_await", None)
    return None
