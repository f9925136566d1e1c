"""The verbs where nothing can be awaited: in `def` routes, blocking work, any other thread, and scripts."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from anyio.from_thread import start_blocking_portal

from taskstream.events import Snapshot
from taskstream.running import Scope
from taskstream.signatures import Function

if TYPE_CHECKING:
    from taskstream.application import Tasks

TURN_SECONDS = 10
"""How long it is waited for a verb: none takes that long, unless something blocks the event loop."""

STOPPED = "The event loop of this TaskStream has stopped."


class SyncTasks:
    """`tasks.sync`: called in a thread, which waits until the event loop of the tasks has done it.

    Where there is none, in a script, `with tasks.sync:` runs one. Raises what its twins of `Tasks` raise,
    and `RuntimeError` in the event loop's own thread, or if that loop has stopped or is stuck.
    """

    def __init__(self, tasks: "Tasks") -> None:
        self._tasks = tasks

    def start(self, work: Function | str, /, **arguments: Any) -> Snapshot:  # noqa: ANN401 - those of its twin
        """Start some work; the first snapshot of its task. See `Tasks.start`."""
        return self._call(self._tasks.start, work, **arguments)

    def get(self, task_id: str, *, scope: Scope | None = None) -> Snapshot:
        """The latest snapshot of a task."""
        return self._call(self._tasks.get, task_id, scope=scope)

    def cancel(self, task_id: str, *, scope: Scope | None = None) -> Snapshot:
        """Ask a task to stop; its snapshot."""
        return self._call(self._tasks.cancel, task_id, scope=scope)

    def __enter__(self) -> Self:
        """Start the tasks in an event loop of their own, in a thread."""
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            stack.enter_context(portal.wrap_async_context_manager(self._tasks))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and end what still runs."""
        self._stack.close()

    def _call(
        self, verb: Callable[..., Coroutine[Any, Any, Snapshot]], /, *arguments: object, **keywords: object
    ) -> Snapshot:
        """Have one of the others' verbs run in the event loop, and wait for its result."""
        home = self._tasks.find_home()
        if home.thread == threading.get_ident():
            raise RuntimeError(
                "This is the event loop's own thread, which can't wait here: "
                f"call `await tasks.{verb.__name__}(…)`."
            )
        if home.loop.is_closed():
            raise RuntimeError(STOPPED)
        future = asyncio.run_coroutine_threadsafe(verb(*arguments, **keywords), home.loop)
        try:
            return future.result(TURN_SECONDS)
        except TimeoutError:
            future.cancel()
            blocked = f"The event loop hasn't answered for {TURN_SECONDS} s: something blocks it."
            raise RuntimeError(blocked) from None
        except CancelledError:
            raise RuntimeError(STOPPED) from None
        finally:
            del future  # else an error is in a cycle with its traceback, which has this frame
