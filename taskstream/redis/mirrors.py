"""Mirrors: copies, in a server, of the tasks that workers run.

A server mirrors the tasks that its clients ask for. A mirror is a task like any other, so viewers, replay
and limits are the same as in one process. It is refreshed when a notification comes and, as notifications
may be missed, with each sweep.
"""

import asyncio
from collections.abc import Iterable
from itertools import islice

from taskstream.events import Kind
from taskstream.redis.availability import Availability
from taskstream.redis.entries import Page
from taskstream.redis.logs import RedisLogs
from taskstream.redis.notifications import Notifications
from taskstream.redis.remote import RemoteTask
from taskstream.settings import Settings

IDLE_SECONDS = 10
"""How long a mirror is kept that nobody watches or asks for."""

LOGS = 100
"""Logs that are read at a time."""


class Mirror(RemoteTask):
    """A task as its log in Redis has it, kept while somebody watches it or asks for it."""

    def __init__(self, task_id: str, settings: Settings) -> None:
        super().__init__(task_id, settings)
        self.position = 0
        """The event in Redis after which to read on: 0, if something before may be missing."""
        self.ask()

    def ask(self) -> None:
        """Keep it for `IDLE_SECONDS` from now on."""
        self._asked_at = asyncio.get_running_loop().time()

    @property
    def idle(self) -> bool:
        """Whether nobody watches it, nor has asked for it for `IDLE_SECONDS`."""
        unasked_seconds = asyncio.get_running_loop().time() - self._asked_at
        return not self.log.listeners and unasked_seconds > IDLE_SECONDS

    def add(self, page: Page) -> bool:
        """Add a page that was read after `position`; whether to read on at once."""
        trimmed = self.position > 0 and not page.gapless
        if trimmed and all(event.kind is Kind.OUTPUT for event in page.events):
            self.position = 0  # the latest snapshot may be among what was trimmed, or all is lost
            return True
        if page.snapshot and self.log.latest_id < page.snapshot.id < page.first_id:
            self.receive([page.snapshot])  # its place in the log was trimmed
        self.receive(page.events)
        self.position = max(self.position, page.last_id)
        return page.newest_id > page.last_id


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
            if position > 0 or not page.last_id:
                return position > 0
            mirror = self._mirrors[task_id] = Mirror(task_id, self._settings)
            mirror.scope = page.scope
            self.notifications.watch(task_id)
        elif position != mirror.position:
            return True  # another request has read it meanwhile
        elif position == 0 and not page.last_id:
            mirror.log.close()  # nothing from the beginning on: the log is lost, or can't be read
            self._drop(task_id)
            return False
        return mirror.add(page)

    def _drop(self, task_id: str) -> None:
        del self._mirrors[task_id]
        self.notifications.forget(task_id)
