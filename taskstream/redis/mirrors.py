"""What a server knows of tasks that are run elsewhere.

A server mirrors the logs that somebody asks for. A mirror is a task like any other, so viewers, replay and
limits are what they are in one process. A notification (pub/sub) says that there is something new to be
read; as notifications may be missed, everything is also read again every now and then.
"""

import asyncio
from collections.abc import Iterable

from taskstream.log import Log
from taskstream.redis.availability import Availability
from taskstream.redis.logs import PAGE, Event, RedisLogs
from taskstream.tasks import Task, read_snapshot

SILENCE_SECONDS = 6
"""Seconds without a notification until the subscription is presumed dead; servers send one every 2 s."""

IDLE_SECONDS = 10
"""For how long a mirror stays that nobody watches or asks for."""


class RemoteLog(Log):
    """A log whose events are numbered elsewhere."""

    def skip_to(self, event_id: int) -> None:
        """Have this event for the next one, and none before it: they were trimmed elsewhere."""
        self.last_id = event_id - 1
        self._events.clear()


class RemoteTask(Task):
    """A task as its log in Redis has it."""

    log: RemoteLog

    def __init__(self, task_id: str, history_length: int) -> None:
        super().__init__(task_id, RemoteLog(history_length))

    def receive(self, event_id: int, data: bytes) -> None:
        """Append a snapshot that was published elsewhere, unless it is here already."""
        if event_id <= self.log.last_id:
            return
        if event_id > self.log.last_id + 1:
            self.log.skip_to(event_id)
        self.snapshot = read_snapshot(data)
        self.log.append(data, last=self.snapshot.status.ended)


class Mirror(RemoteTask):
    """One that is kept for some time after somebody has asked for it."""

    def __init__(self, task_id: str, history_length: int) -> None:
        super().__init__(task_id, history_length)
        self.ask()

    def ask(self) -> None:
        """Keep it for some time."""
        self._asked_at = asyncio.get_running_loop().time()

    @property
    def idle(self) -> bool:
        """Whether nobody watches it, or has asked for it of late."""
        unasked_seconds = asyncio.get_running_loop().time() - self._asked_at
        return not self.log.listeners and unasked_seconds > IDLE_SECONDS


class Mirrors:
    """The mirrors of one server, and what keeps them up to date."""

    def __init__(self, logs: RedisLogs, availability: Availability, history_length: int) -> None:
        self._logs = logs
        self._availability = availability
        self._history_length = history_length
        self._mirrors: dict[str, Mirror] = {}
        self._stale: set[str] = set()
        self._notified = asyncio.Event()

    def get(self, task_id: str) -> Mirror | None:
        """The mirror of a task, as far as it has been read; it is kept for some time."""
        if mirror := self._mirrors.get(task_id):
            mirror.ask()
        return mirror

    async def refresh(self, task_ids: Iterable[str]) -> None:
        """Read all that is new in some logs, page by page. Raises `RedisError`."""
        while positions := [(task_id, self._position(task_id)) for task_id in task_ids]:
            pages = await self._logs.read(positions)
            task_ids = [
                task_id
                for (task_id, position), page in zip(positions, pages, strict=True)
                if self._apply(task_id, position, page)
            ]

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
                del self._mirrors[task_id]

    def release_viewers(self) -> None:
        """Let every viewer go."""
        for mirror in self._mirrors.values():
            mirror.log.close()

    async def read(self) -> None:
        """Refresh what is stale, once something is. Raises `RedisError`."""
        await self._notified.wait()
        self._notified.clear()
        stale, self._stale = self._stale, set()
        try:
            await self.refresh(stale)
        except BaseException:
            self._stale |= stale
            self._notified.set()
            raise
        self._availability.found()

    async def listen(self) -> None:
        """Receive notifications, until the subscription is presumed dead. Raises `RedisError`."""
        async with self._logs.redis.pubsub() as pubsub:
            await pubsub.subscribe(self._logs.keys.notifications)
            while message := await pubsub.get_message(timeout=SILENCE_SECONDS):
                if message["type"] == "message":
                    self.refresh_soon(message["data"].decode())
                else:  # the subscription counts from here on, and again after each lost connection
                    self._availability.found()
                    self.refresh_all_soon()

    def _position(self, task_id: str) -> int:
        mirror = self._mirrors.get(task_id)
        return mirror.log.last_id if mirror else 0

    def _apply(self, task_id: str, position: int, page: list[Event]) -> bool:
        """Add a page, which begins at the position at which it was asked for; whether there may be more."""
        mirror = self._mirrors.get(task_id)
        if not page:
            # The log is gone, or Redis has lost data and is behind. Viewers come back by themselves.
            if mirror:
                mirror.log.close()
                del self._mirrors[task_id]
            return position > 0
        if mirror is None:
            if position > 0:
                return True
            mirror = self._mirrors[task_id] = Mirror(task_id, self._history_length)
        for event_id, data in page:
            mirror.receive(event_id, data)
        return len(page) == PAGE
