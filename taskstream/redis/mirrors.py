"""What a server knows of tasks that are run elsewhere.

A server mirrors the logs that somebody asks for. A mirror is a task like any other, so viewers, replay and
limits are what they are in one process. A notification says that there is something new to be read; as
notifications may be missed, everything is also read again every now and then.
"""

import asyncio
from collections.abc import Iterable

from taskstream.redis.availability import Availability
from taskstream.redis.entries import Kind, LoggedEvent, Page
from taskstream.redis.logs import PAGE, RedisLogs
from taskstream.redis.notifications import Notifications
from taskstream.redis.remote import RemoteTask
from taskstream.settings import Settings
from taskstream.tasks import Snapshot, read_snapshot

IDLE_SECONDS = 10
"""For how long a mirror stays that nobody watches or asks for."""


class Mirror(RemoteTask):
    """One that is kept for some time after somebody has asked for it."""

    def __init__(self, task_id: str, settings: Settings) -> None:
        super().__init__(task_id, settings.history_length, settings.history_bytes)
        self.restart = True
        """Whether the log has to be read from its beginning: something is missing here."""
        self._untrimmed_to = 0
        """The event after which nothing was trimmed from the log: what is missing there was lost."""
        self.ask()

    @property
    def snapshot(self) -> Snapshot:  # type: ignore[override]  # nothing is published here
        """The latest snapshot, read when somebody asks: events are passed on without a look into them."""
        return read_snapshot(self.log.latest)

    def ask(self) -> None:
        """Keep it for some time."""
        self._asked_at = asyncio.get_running_loop().time()

    @property
    def idle(self) -> bool:
        """Whether nobody watches it, or has asked for it of late."""
        unasked_seconds = asyncio.get_running_loop().time() - self._asked_at
        return not self.log.listeners and unasked_seconds > IDLE_SECONDS

    @property
    def position(self) -> int:
        """The event from which to read on."""
        return 0 if self.restart else self.log.last_id

    def take(self, page: Page) -> bool:
        """Add a page, which begins at the position; whether there may be more."""
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

    def find_nothing(self) -> bool:
        """Read again from the beginning, as the latest events are lost, if not all; whether at once."""
        self.restart = True
        return self.log.last_id != self._untrimmed_to

    def _may_lack_snapshot(self, events: list[LoggedEvent]) -> bool:
        """Whether the latest snapshot may have been trimmed before it was read."""
        gap = self.log.last_id + 1 < events[0].id and self.log.last_id != self._untrimmed_to
        return gap and all(event.kind is Kind.OUTPUT for event in events)


class Mirrors:
    """The mirrors of one server, and what keeps them up to date."""

    def __init__(self, logs: RedisLogs, availability: Availability, settings: Settings) -> None:
        self._logs = logs
        self._availability = availability
        self._settings = settings
        self._mirrors: dict[str, Mirror] = {}
        self._stale: set[str] = set()
        self._notified = asyncio.Event()
        self.notifications = Notifications(logs.redis, logs.keys.logs, self.refresh_soon)

    def get(self, task_id: str) -> Mirror | None:
        """The mirror of a task, as far as it has been read; it is kept for some time."""
        if mirror := self._mirrors.get(task_id):
            mirror.ask()
        return mirror

    async def refresh(self, task_ids: Iterable[str]) -> None:
        """Read all that there is now in some logs, page by page. Raises `RedisError`.

        What is appended meanwhile is read soon: faster work than can be read must not keep anybody here.
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
        """Have the mirror of a task refreshed, if there is one."""
        if task_id in self._mirrors:
            self._stale.add(task_id)
            self._notified.set()

    def refresh_all_soon(self) -> None:
        """Have every mirror refreshed of a task that has not ended."""
        self._stale.update(task_id for task_id, mirror in self._mirrors.items() if not mirror.ended)
        self._notified.set()

    def drop_idle(self) -> None:
        """Forget the mirrors that nobody needs."""
        for task_id, mirror in list(self._mirrors.items()):
            if mirror.idle:
                self._drop(task_id)

    def release_viewers(self) -> None:
        """Let every viewer go."""
        for mirror in self._mirrors.values():
            mirror.log.close()

    async def read(self) -> None:
        """Refresh what is stale, once something is. Raises `RedisError`."""
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
        self._availability.found()

    def _position(self, task_id: str) -> int:
        mirror = self._mirrors.get(task_id)
        return mirror.position if mirror else 0

    def _apply(self, task_id: str, position: int, page: Page) -> bool:
        """Add a page, which begins at the position at which it was asked for; whether there may be more."""
        mirror = self._mirrors.get(task_id)
        if mirror is None:
            if position > 0 or not page.events:
                return position > 0
            mirror = self._mirrors[task_id] = Mirror(task_id, self._settings)
            self.notifications.watch(task_id)
        elif position != mirror.position:
            return True  # somebody else has read it meanwhile
        elif not page.events:
            return self._find_nothing(task_id, mirror)
        return mirror.take(page)

    def _find_nothing(self, task_id: str, mirror: Mirror) -> bool:
        """The log is lost; or only its latest events are, then the mirror knows more, and stays."""
        if mirror.restart:
            mirror.log.close()
            self._drop(task_id)
            return False
        return mirror.find_nothing()

    def _drop(self, task_id: str) -> None:
        del self._mirrors[task_id]
        self.notifications.forget(task_id)
