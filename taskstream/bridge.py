"""The bridge from what work says, in any thread, to the event loop and the log of its task."""

import asyncio
import threading
import time
from typing import TYPE_CHECKING, cast
from weakref import proxy

from taskstream.encoding import Json, to_json
from taskstream.events import Count, TaskStatus
from taskstream.steps import Step

if TYPE_CHECKING:
    from taskstream.tasks import Task

OUTPUT_QUEUE_LENGTH = 1000
"""Pieces of output that may wait for the event loop, unless it is set."""

OUTPUT_CHARACTERS = 16 * 1024
"""The most that one event of output holds."""

STALL_SECONDS = 5
"""How long a thread waits for an event loop that doesn't turn; then its output is dropped."""

Said = tuple[Step, float | None, str | None, Json | None]
"""Percent of the current item, words and data; without words, that the step is at another item."""

NOTHING: Said = (Step.__new__(Step), None, "", None)

Report = tuple[str, float, Json | None, list[Count]]
"""The same as a snapshot has it: words, percent of the whole, data, and what is counted."""


class Reporter(Step):
    """What one task says until the event loop takes it: its output whole, of reports in a row the latest.

    The loop is woken once for all that it has not taken, so work may report in a tight loop. A thread whose
    output is faster than the loop waits, instead of filling the memory; but not for a loop that may be
    waiting for this very thread.
    """

    def __init__(self, task: "Task", output_queue_length: int = OUTPUT_QUEUE_LENGTH) -> None:
        """`output_queue_length` is the number of pieces of output that may wait."""
        self.scheduled = False
        """Whether something was said that has not been taken."""
        self.paused = False
        """Whether the log can't take more for now: what is said waits until `resume`."""
        self.reporter, self.closed = self, False
        self.task_id, self.scope = task.task_id, task.scope
        self.outermost: Step | None = None
        """The step that was opened first, if it is open."""
        self.latest = NOTHING
        """What was said last; without a lock, which would double the cost of `report`."""
        self._taken: tuple[Said, float] = NOTHING, 0
        """What stands in `_said` or the log, and at which item."""
        self._task: Task | None = task
        self._limit = output_queue_length
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._said: list[str | Report | None] = []
        """`None` in the place of output that was dropped."""
        self._outputs = self._characters = 0
        self._waiting_since: float | None = None
        """When a thread began to wait for the loop, which has not turned since."""
        self._room = threading.Condition()

    def report(self, step: Step, progress: float | None, message: str, data: object) -> None:
        """Put a report of a step in the place of what was said last, unless there was output since.

        Raises `asyncio.CancelledError` once this is closed.
        """
        # What was reported is what is sent, even if the work goes on filling its list.
        if data is not None:
            data = to_json(data, iterators=threading.get_ident() != self._loop_thread)
        self._say((step, progress, message, data))

    def move(self, step: Step, done: float) -> Said:
        """Put a step that comes to another item in the place of what was said last, likewise.

        As long as that is `latest`, and this is `scheduled`, the step need not do more than count.
        """
        return self._say((step, None, None, None), done)

    def output(self, text: str) -> None:
        """Add a piece of output; in another thread than the loop's, wait while there are too many.

        It is dropped if the loop doesn't turn for `STALL_SECONDS`, and all that follows until it does.
        Raises `asyncio.CancelledError` once this is closed.
        """
        in_loop = threading.get_ident() == self._loop_thread
        with self._room:
            has_room = in_loop or self._wait_for_room()
            if self.closed:
                raise asyncio.CancelledError("The task has ended")
            if not has_room:
                if self._said[-1] is not None:
                    self._said.append(None)
                return
            self._take_latest()  # which came before
            self._said.append(text)
            self._outputs += 1
            self._characters += len(text)
        if in_loop and (self._characters >= OUTPUT_CHARACTERS or self._outputs >= self._limit):
            self.flush()
        elif not self.scheduled:
            self._schedule()

    def flush(self) -> None:
        """Tell all that was said, in its order. To be called in the event loop."""
        self.scheduled = False  # first: what is said from now on wakes the loop again
        with self._room:
            self._take_latest()
            said, self._said = self._said, []
            self._outputs = self._characters = 0
            self._waiting_since = None
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
            if each is None:
                self._task.append_lost()
            else:
                self._task.append(TaskStatus.PROGRESS, *each)
        self._task.append_output("".join(text))

    def resume(self) -> None:
        """Go on with what waits, now that the log takes more."""
        self.paused = False
        self.flush()

    def close(self) -> None:
        """Take nothing any more; who says something is told by an exception, and none waits for ever."""
        with self._room:
            self.closed = True
            self.scheduled = False  # so that who says something looks
            self.latest, self._taken, self._task = NOTHING, (NOTHING, 0), None  # what may be large
            self.outermost, self.reporter = None, cast("Reporter", proxy(self))  # these would be cycles
            self._room.notify_all()

    def _say(self, said: Said, done: float | None = None) -> Said:
        if self.closed:
            raise asyncio.CancelledError("The task has ended")
        step, latest = said[0], self.latest
        if latest[0] is not step:
            latest[0].advance(latest[1])
        if step.parent:
            step.parent = step.parent.nearest_open
        if done is not None:
            step.done, step.inner = done, 0
        self.latest = said
        if not self.scheduled:
            self._schedule()
        return said

    def _take_latest(self) -> None:
        taken = self.latest, self.latest[0].done
        if taken[0] is not self._taken[0] or taken[1] != self._taken[1]:
            self._taken = taken
            step, progress, message, data = taken[0]
            words = step.words() if message is None else message
            self._said.append((words, step.advance(progress), data, step.counts()))

    def _wait_for_room(self) -> bool:
        """Wait while there are too many pieces; false if the loop doesn't turn."""
        while self._outputs >= self._limit and not self.closed:
            now = time.monotonic()
            if self._waiting_since is None:
                self._waiting_since = now
                self._schedule()
            elif now - self._waiting_since >= STALL_SECONDS:
                return False
            self._room.wait(self._waiting_since + STALL_SECONDS - now)
        return True

    def _schedule(self) -> None:
        self.scheduled = True
        if threading.get_ident() == self._loop_thread:
            self._loop.call_soon(self._flush_unless_paused)
            return
        try:
            self._loop.call_soon_threadsafe(self._flush_unless_paused)
        except RuntimeError:  # the loop is closed: the server has stopped, and nobody waits any more
            self.close()

    def _flush_unless_paused(self) -> None:
        if not self.paused:
            self.flush()
            return
        with self._room:
            self._waiting_since = None  # it turns
