"""Mirrors: copies, in a server, of the tasks that workers run.

A server mirrors the tasks that its clients ask for. A mirror is a task like any other, so viewers, replay
and limits are the same as in one process. A notification may have the event that follows what a mirror has;
otherwise the log is read and, as notifications may be missed, with each sweep.
"""

import asyncio
import time
from collections.abc import Iterable
from itertools import islice

from taskstream.events import Event, Kind
from taskstream.log import Log
from taskstream.redis.logs import Page, RedisLogs, logged_event
from taskstream.redis.notifications import Notifications
from taskstream.settings import Settings
from taskstream.tasks import Task

IDLE_SECONDS = 10
"""How long a mirror is kept that nobody watches or asks for."""

LOGS = 100
"""Logs that are read at a time."""


class Mirror(Task):
    """A task as its log in Redis has it, kept while somebody watches it or asks for it."""

    def __init__(self, task_id: str, scope: str | None, settings: Settings) -> None:
        super().__init__(task_id, Log(settings.history_length, settings.history_bytes), scope)
        self.position = 0
        """The event in Redis after which to read on: 0, if something before may be missing."""
        self.asked_at = time.monotonic()

    def add_next(self, notification: bytes) -> bool:
        """Add the event that a notification has; false if it has none, or not the next one."""
        if not notification.startswith(b"+%d " % (self.position + 1)):
            return False
        self.receive([logged_event(*notification[1:].split(b" ", 2))])
        return True

    def add(self, page: Page, position: int) -> bool:
        """Add a page that was read after a position; whether to read on at once."""
        trimmed = position > 0 and not page.gapless
        if trimmed and all(event.kind is Kind.OUTPUT for event in page.events):
            self.position = 0  # the latest snapshot may be among what was trimmed, or all is lost
            return True
        self.receive(page.events)
        return page.newest_id > self.position

    def receive(self, events: Iterable[Event]) -> None:
        """Append the events that are new here."""
        for event in events:
            if event.id > self.log.last_id:
                self.log.append(event.data, event.kind, event.id)
            self.position = max(self.position, event.id)


class Mirrors:
    """The mirrors of one server."""

    def __init__(self, logs: RedisLogs, settings: Settings) -> None:
        self._logs = logs
        self._settings = settings
        self._mirrors: dict[str, Mirror] = {}
        self._stale: set[str] = set()
        self._notified = asyncio.Event()
        self.notifications = Notifications(logs, self._mirrors, self._notified_of)

    def get(self, task_id: str) -> Mirror | None:
        """The mirror of a task, as far as it has been read."""
        if mirror := self._mirrors.get(task_id):
            mirror.asked_at = time.monotonic()
        return mirror

    async def refresh(self, task_ids: Iterable[str]) -> None:
        """Read some logs, page by page, up to what is the newest event at first. Raises `RedisError`.

        Work that is faster than this must not keep a request waiting: the rest is read in the background.
        """
        newest_ids = dict.fromkeys(task_ids, 0)
        while newest_ids:
            positions = [(task_id, self._position(task_id)) for task_id in islice(newest_ids, LOGS)]
            pages = await self._logs.read(positions)
            for (task_id, position), page in zip(positions, pages, strict=False):  # those that were read
                newest_id = newest_ids.pop(task_id) or page.newest_id
                if not self._apply(task_id, position, page):
                    continue
                if newest_id and self._position(task_id) >= newest_id:
                    self.refresh_soon(task_id)
                else:
                    newest_ids[task_id] = newest_id

    def refresh_soon(self, *task_ids: str) -> None:
        """Schedule a refresh of these mirrors."""
        self._stale.update(task_ids)
        self._notified.set()

    def check_all(self) -> None:
        """Drop the mirrors that are idle; schedule a refresh of the others whose tasks have not ended."""
        for mirror in list(self._mirrors.values()):
            if not mirror.log.listeners and time.monotonic() > mirror.asked_at + IDLE_SECONDS:
                self._drop(mirror)
            elif not mirror.log.ended:
                self.refresh_soon(mirror.task_id)

    def release_viewers(self) -> None:
        """End every stream."""
        for mirror in self._mirrors.values():
            mirror.log.close()

    async def refresh_stale(self) -> None:
        """Wait for a scheduled refresh, and do it. Raises `RedisError`."""
        await self._notified.wait()
        self._notified.clear()
        stale, self._stale = self._stale & self._mirrors.keys(), set()
        await self.refresh(stale)  # if it fails, the next sweep schedules another

    def _position(self, task_id: str) -> int:
        mirror = self._mirrors.get(task_id)
        return mirror.position if mirror else 0

    def _apply(self, task_id: str, position: int, page: Page) -> bool:
        """Add a page that was asked for from this position; whether there may be more."""
        if position > self._position(task_id):
            return True  # it has to be read again from its beginning
        mirror = self._mirrors.get(task_id)
        if position == 0 and not page.events:  # nothing from the beginning on: unknown, lost or unreadable
            if mirror:
                self._drop(mirror)
            return False
        if mirror and mirror.log.ended and page.events and page.events[-1].id > mirror.log.last_id:
            self._drop(mirror)  # Redis has lost the end, and the task runs again: nobody is shown both
            return True
        if mirror is None:
            mirror = self._mirrors[task_id] = Mirror(task_id, page.scope, self._settings)
            self.notifications.changed.set()
        return mirror.add(page, position)

    def _notified_of(self, task_id: str, notification: bytes) -> None:
        mirror = self._mirrors.get(task_id)
        if mirror and not mirror.add_next(notification):
            self.refresh_soon(task_id)

    def _drop(self, mirror: Mirror) -> None:
        mirror.log.close()
        del self._mirrors[mirror.task_id]
        self.notifications.changed.set()
