"""Mirrors: copies, in a server, of the tasks that workers run.

A server mirrors the tasks that its clients ask for. A mirror is a task like any other, so viewers, replay
and limits are the same as in one process. It is refreshed when a notification comes and, as notifications
may be missed, with each sweep.
"""

import asyncio
from collections.abc import Iterable

from taskstream.events import Event, Kind
from taskstream.redis.availability import Availability
from taskstream.redis.entries import Page
from taskstream.redis.logs import PAGE, RedisLogs
from taskstream.redis.notifications import Notifications
from taskstream.redis.remote import RemoteTask
from taskstream.settings import Settings

IDLE_SECONDS = 10
"""How long a mirror is kept that nobody watches or asks for."""


class Mirror(RemoteTask):
    """A task as its log in Redis has it, kept while somebody watches it or asks for it."""

    def __init__(self, task_id: str, settings: Settings) -> None:
        super().__init__(task_id, settings.history_length, settings.history_bytes)
        self.restart = True
        """Whether the log has to be read from its beginning, because something is missing here."""
        self._untrimmed_to = 0
        """The event after which nothing was trimmed from the log: a gap there was lost with Redis."""
        self.ask()

    def ask(self) -> None:
        """Keep it for `IDLE_SECONDS` from now on."""
        self._asked_at = asyncio.get_running_loop().time()

    @property
    def idle(self) -> bool:
        """Whether nobody watches it, nor has asked for it for `IDLE_SECONDS`."""
        unasked_seconds = asyncio.get_running_loop().time() - self._asked_at
        return not self.log.listeners and unasked_seconds > IDLE_SECONDS

    @property
    def position(self) -> int:
        """The event from which to read on."""
        return 0 if self.restart else self.log.last_id

    def add(self, page: Page) -> bool:
        """Add a page that begins at `position`; whether there may be more."""
        first = page.events[0].id
        if self.restart:
            if page.snapshot and self.log.latest_id < page.snapshot.id < first:
                self.receive([page.snapshot])  # its place in the log was trimmed
            self.restart = False
            self._untrimmed_to = self.log.last_id if first <= self.log.last_id else 0
        elif self._may_lack_snapshot(page.events):
            self.restart = True
            return True
        self.receive(page.events)
        return len(page.events) == PAGE

    def reread(self) -> bool:
        """Read from the beginning next, as Redis has lost the latest events or all; whether at once."""
        self.restart = True
        return self.log.last_id != self._untrimmed_to

    def _may_lack_snapshot(self, events: list[Event]) -> bool:
        """Whether the latest snapshot may have been trimmed before it was read."""
        gap = self.log.last_id + 1 < events[0].id and self.log.last_id != self._untrimmed_to
        return gap and all(event.kind is Kind.OUTPUT for event in events)


class Mirrors:
    """The mirrors of one server."""

    def __init__(self, logs: RedisLogs, availability: Availability, settings: Settings) -> None:
        self._logs = logs
        self._availability = availability
        self._settings = settings
        self._mirrors: dict[str, Mirror] = {}
        self._stale: set[str] = set()
        self._notified = asyncio.Event()
        self.notifications = Notifications(logs.redis, logs.prefix, self.refresh_soon)

    def get(self, task_id: str) -> Mirror | None:
        """The mirror of a task, as far as it has been read."""
        if mirror := self._mirrors.get(task_id):
            mirror.ask()
        return mirror

    async def refresh(self, task_ids: Iterable[str]) -> None:
        """Read some logs, page by page. Raises `RedisError`.

        At most as many as a log may have: work that is faster than this must not keep a request waiting, so
        the rest is read in the background.
        """
        for _ in range(self._settings.history_length // PAGE + 3):
            positions = [(task_id, self._position(task_id)) for task_id in task_ids]
            if not positions:
                return
            pages = await self._logs.read(positions)
            task_ids = [
                task_id
                for (task_id, position), page in zip(positions, pages, strict=True)
                if self._apply(task_id, position, page)
            ]
        for task_id in task_ids:
            self.refresh_soon(task_id)

    def refresh_soon(self, task_id: str) -> None:
        """Schedule a refresh of the mirror of a task, if there is one."""
        if task_id in self._mirrors:
            self._stale.add(task_id)
            self._notified.set()

    def refresh_all_soon(self) -> None:
        """Schedule a refresh of the mirrors of all tasks that have not ended."""
        self._stale.update(task_id for task_id, mirror in self._mirrors.items() if not mirror.ended)
        self._notified.set()

    def drop_idle(self) -> None:
        """Drop the mirrors that are idle."""
        for task_id, mirror in list(self._mirrors.items()):
            if mirror.idle:
                self._drop(task_id)

    def release_viewers(self) -> None:
        """End every stream."""
        for mirror in self._mirrors.values():
            mirror.log.close()

    async def refresh_stale(self) -> None:
        """Wait for a scheduled refresh, and do it. Raises `RedisError`."""
        await self._notified.wait()
        self._notified.clear()
        stale, self._stale = self._stale, set()
        if not stale:
            return
        try:
            await self.refresh(stale)
        except BaseException:
            self._stale |= stale
            self._notified.set()
            raise
        self._availability.record_answer()

    def _position(self, task_id: str) -> int:
        mirror = self._mirrors.get(task_id)
        return mirror.position if mirror else 0

    def _apply(self, task_id: str, position: int, page: Page) -> bool:
        """Add a page that was asked for from this position; whether there may be more."""
        mirror = self._mirrors.get(task_id)
        if mirror is None:
            if position > 0 or not page.events:
                return position > 0
            mirror = self._mirrors[task_id] = Mirror(task_id, self._settings)
            self.notifications.watch(task_id)
        elif position != mirror.position:
            return True  # another request has read it meanwhile
        elif not page.events:
            if not mirror.restart:
                return mirror.reread()
            mirror.log.close()  # nothing from the beginning on: the log is lost
            self._drop(task_id)
            return False
        return mirror.add(page)

    def _drop(self, task_id: str) -> None:
        del self._mirrors[task_id]
        self.notifications.forget(task_id)
