"""The bridge from what work says, in any thread, to the event loop and the log of its task."""

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING, cast
from weakref import proxy

from taskstream.encoding import Json, to_json
from taskstream.events import Count, Kind, TaskStatus
from taskstream.steps import NOTHING, Said, Step, in_words

if TYPE_CHECKING:
    from taskstream.tasks import Task

OUTPUT_CHARACTERS = 16 * 1024
"""The most that one event of output holds."""
WAITING_CHARACTERS = 16 * OUTPUT_CHARACTERS
"""Output that may wait for the event loop, whatever the number of pieces: 3 ms of its time."""
STALL_SECONDS = 5
"""How long a thread waits for an event loop that doesn't turn; then its output is dropped."""


class Reporter(Step):
    """What one task says until the event loop takes it: its output whole, of reports in a row the latest.

    The loop is woken once for all that it has not taken, so work may report in a tight loop. A thread whose
    output is faster than the loop waits, instead of filling the memory; but not for a loop that may be
    waiting for this very thread.
    """

    def __init__(self, task: "Task", output_queue_length: int) -> None:
        """`output_queue_length` is the number of pieces of output that may wait."""
        self.scheduled = False
        """Whether something was said that has not been taken."""
        self.paused = False
        """Whether the back end takes nothing for now, as a full disk: what is said waits until `resume`."""
        self.reporter = self
        self.latest: Step = self
        """The step in which something was said last."""
        self.closed, self.said, self.live = False, NOTHING, False
        self.task_id, self.scope = task.task_id, task.scope
        self.process_id = os.getpid()
        self.outermost: Step | None = None
        """The step that was opened first, if it is open."""
        self._taken: tuple[Said, float] = NOTHING, 0
        """What stands in `_said` or the log, and at which item."""
        self._task: Task | None = task
        self._limit = output_queue_length
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        self._said: list[str | tuple[str, float, Json | None, list[Count]] | None] = []
        """Output, `None` in the place of what was dropped, and reports as snapshots have them."""
        self._characters = 0
        self._waiting_since: float | None = None
        """When a thread began to wait for the loop, which has not turned since."""
        self._lock = threading.RLock()  # entered by itself where nobody waits: a condition is slower
        self._room = threading.Condition(self._lock)

    def report(
        self,
        step: Step,
        progress: float | None = None,
        message: str | None = None,
        data: object = None,
        done: float | None = None,
    ) -> Said:
        """Put what a step says in the place of what was said last, unless there was output since.

        That is how far its current item is or, with `done`, that it comes to another one. As long as the
        step is `live`, it need not call this, but may replace what it has said, or go on counting. Raises
        `asyncio.CancelledError` once this is closed.
        """
        if os.getpid() != self.process_id:  # a loop goes on in a forked child, where nobody frees the lock
            return self.said
        in_loop = threading.get_ident() == self._loop_thread
        said = (progress, message, None if data is None else to_json(data, iterators=not in_loop))
        with self._lock:
            self._check()
            if self.latest is not step:
                self.latest.live = False
                self.latest.advance(self.latest.said[0])
                self.latest = step
            if step.parent:
                step.parent = step.parent.nearest_open
            if done is not None:
                step.done, step.inner = done, 0
            step.said, step.live = said, True
        if not self.scheduled:
            self._schedule()
        return said

    def output(self, text: str) -> None:
        """Add a piece of output; in another thread than the loop's, wait while there are too many.

        It is dropped if the loop doesn't turn for `STALL_SECONDS`, and all that follows until it does.
        Raises `asyncio.CancelledError` once this is closed.
        """
        in_loop = threading.get_ident() == self._loop_thread
        with self._room:
            has_room = in_loop or self._wait_for_room()
            self._check()
            if not has_room:
                if self._said[-1] is not None:
                    self._said.append(None)
                return
            self._take_latest()  # which came before
            self._said.append(text)
            self._characters += len(text)
        if in_loop and (self._characters >= OUTPUT_CHARACTERS or len(self._said) >= self._limit):
            self.flush()
        elif not self.scheduled:
            self._schedule()

    def flush(self) -> None:
        """Tell all that was said, in its order. To be called in the event loop."""
        with self._lock:
            # First: what is said from now on wakes the loop again.
            self.scheduled = self.latest.live = False
            self._take_latest()
            said, self._said = self._said, []
            self._characters, self._waiting_since = 0, None
            self._room.notify_all()
        if self._task is None:
            return
        text: list[str] = []
        for each in said:
            if isinstance(each, str):
                text.append(each)
                continue
            self._task.append_output("".join(text))
            text.clear()
            if each is not None:
                self._task.append(TaskStatus.PROGRESS, *each)
            elif not self._task.log.sealed:
                self._task.log.append(b"", Kind.LOST)
        self._task.append_output("".join(text))

    def resume(self) -> None:
        """Tell what has waited, now that the back end takes it."""
        self.paused = False
        self.flush()

    def close(self) -> None:
        """Take nothing any more; who says something is told by an exception, and none waits for ever."""
        with self._room:
            self.closed = True
            self.scheduled = self.latest.live = False  # so that who says something looks
            self.said, self._taken, self._task = NOTHING, (NOTHING, 0), None  # what may be large
            self.reporter = self.latest = cast("Reporter", proxy(self))  # else these would be cycles
            self.outermost = None
            self._room.notify_all()

    def _check(self) -> None:
        if self.closed:
            raise asyncio.CancelledError("The task has ended")

    def _take_latest(self) -> None:
        step = self.latest
        said, done = step.said, step.done
        if said is not self._taken[0] or done != self._taken[1]:
            self._taken = said, done
            progress, words, data = said
            counts = step.counts()
            if words is None:
                words = in_words(counts[-1])
            self._said.append((words, step.advance(progress), data, counts))

    def _wait_for_room(self) -> bool:
        """Wait while there are too many pieces; false if the loop doesn't turn."""
        while not self.closed and (
            len(self._said) >= self._limit or self._characters >= WAITING_CHARACTERS
        ):
            now = time.monotonic()
            if self._waiting_since is None:
                self._waiting_since = now
                self._schedule()
            elif now - self._waiting_since >= STALL_SECONDS:
                return False
            self._room.wait(self._waiting_since + STALL_SECONDS - now)
        return True

    def _schedule(self) -> None:
        in_loop = threading.get_ident() == self._loop_thread
        call = self._loop.call_soon if in_loop else self._loop.call_soon_threadsafe
        self.scheduled = True
        try:
            call(self._flush_unless_paused)
        except RuntimeError:  # the loop is closed, and nobody waits any more; or a recursion is too deep
            self.scheduled = self.latest.live = False
            if not self._loop.is_closed():
                raise
            self.close()

    def _flush_unless_paused(self) -> None:
        if self.paused:
            with self._room:
                self._waiting_since = None  # it turns
        else:
            self.flush()
