"""The logs of tasks in Redis: one stream for each, whose entry `7-0` is event 7."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from functools import partial
from importlib.resources import files
from typing import Any, NamedTuple

from hiredis import pack_command
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as ConnectionLost, NoScriptError, RedisError

from taskstream.events import Event, Kind
from taskstream.idempotency import IdempotencyKey
from taskstream.redis.availability import ANSWER_SECONDS, CONNECTION_OPTIONS, Availability, answer_to
from taskstream.redis.messages import key_prefix
from taskstream.settings import Settings
from taskstream.tasks import Task

PAGE, PAGE_BYTES = 100, 64 * 1024
"""Entries of a log that are read at a time, and bytes of any number of logs, unless one event has more."""

COMMANDS = "keys", "sweep", "commands"
"""The files of the script that changes tasks."""

KINDS = {kind.encode(): kind for kind in Kind}

Decision = Sequence[bytes]
"""What a server has to append: id of the task, status, message; what that follows: number, and snapshot."""


class Page(NamedTuple):
    """Some events of a log, and what is said about them."""

    events: list[Event]
    """If read from its beginning, with the latest snapshot before them, should they all follow that."""
    newest_id: int
    """The number of the newest entry of the log, if this page doesn't reach it; else 0."""
    gapless: bool
    """Whether they follow the event after which they were asked for, as that is still in the log."""
    scope: str | None
    """Whose the task is, if it was read from its beginning."""

    @classmethod
    def of(cls, reply: Sequence[Any]) -> "Page":
        """Decode a reply."""
        newest_id, gapless, snapshot, scope, *entries = reply
        events = [logged_event(*entry) for entry in entries]
        number, _, data = snapshot.partition(b" ")  # and another one, but by older versions
        if snapshot and events and int(number) < events[0].id:  # its place in the log was trimmed
            events.insert(0, logged_event(number, b"", data.lstrip(b" ")))
        return cls(events, int(newest_id), bool(gapless), scope.decode() or None)


class Position(NamedTuple):
    """Where the latest event of a writer is in a log, while nothing else has happened to the task."""

    id: int
    sent_id: int
    """Its number, as its writer counts."""
    history: bytes
    status: bytes
    room: int
    """Bytes that may follow before the memory that the log takes is looked at."""


def script(*names: str) -> str:
    """The Lua in some files, as one script, whose one key is the namespace with a colon."""
    return "".join((files(__package__) / f"{name}.lua").read_text(encoding="utf-8") for name in names)


class RedisLogs:
    """The logs of all tasks, for servers and workers. Raises `RedisError`."""

    def __init__(self, settings: Settings, namespace: str, connections: int = 1) -> None:
        self._key_prefix = key_prefix(namespace)
        self.prefix = f"{self._key_prefix}log:"
        """Before the id of a task: the key of its log, and the channel of its notifications."""
        self.settings = settings
        self.availability = Availability()
        # A single one need not be taken from a pool each time; `answer_to` limits how long answers take,
        # for which redis-py would make an asyncio task.
        cheaply = {"single_connection_client": connections == 1, "socket_timeout": None}
        self.redis = Redis.from_url(settings.redis_url or "", **CONNECTION_OPTIONS | cheaply)
        # Not redis-py's BlockingConnectionPool, which deadlocks when many of those who wait are cancelled.
        self._connections = asyncio.Semaphore(connections)
        self._commands = self.redis.register_script(script(*COMMANDS))
        self._read = self.redis.register_script(script("read"))
        self._follow_script = self.redis.register_script(script("follow"))

    async def create(
        self, task: Task, message: str, key: IdempotencyKey | None = None, deadline: float = float("inf")
    ) -> tuple[str, str]:
        """Begin the log of a task with its first event, and queue the message for a worker.

        The outcome, and the id of the task that was created, now or before. `deadline` is a time of Redis'
        clock.
        """
        names = (key.key, key.fingerprint) if key else ("", "")
        about = (task.task_id, task.log.latest, message, self.settings.max_tasks, deadline)
        outcome, created_id = await self.call("create", *about, *names, task.scope or "")
        return outcome.decode(), created_id.decode()

    async def append(
        self, task_id: str, events: Sequence[Event], writer: str, before: Position | None = None
    ) -> Position | None:
        """Append events, whose `id` is how their writer counts them; in the log they get their numbers.

        Not if another writer has begun the task, or it has ended, its end was decided, or it is forgotten.
        What a server says has no writer, and has to follow the event that it was made from. An event
        right behind the one `before` is appended in few steps.
        """
        if before and (after := await self._follow(task_id, events[-1], writer, before)):
            return after
        settings = self.settings
        limits = (settings.history_length, settings.history_bytes, settings.retention_seconds)
        values = (value for event in events for value in event)
        reply = await self.call("append", task_id, writer, *limits, *values)
        return Position(int(reply[0]), events[-1].id, reply[1], reply[2], PAGE_BYTES) if reply else None

    async def _follow(self, task_id: str, event: Event, writer: str, before: Position) -> Position | None:
        """Append the event that follows the one before, if nothing else has happened to the task.

        Over the one connection of a worker, without what redis-py does around a command: that costs as much
        as sending it.
        """
        count, kind, data = event
        after = Position(before.id + 1, count, before.history, before.status, before.room - len(data))
        same_status = kind is Kind.OUTPUT or (kind is Kind.SNAPSHOT and before.status == b"PROGRESS")
        connection = self.redis.connection
        if count != before.sent_id + 1 or not same_status or after.room < 0 or not connection:
            return None
        values = (task_id, writer, count, kind, data, after.id, after.history, self.settings.history_length)
        command = pack_command(("EVALSHA", self._follow_script.sha, 1, self._key_prefix, *values))  # type: ignore[arg-type]  # of any length
        with suppress(RedisError, RuntimeError, TimeoutError):  # of which `append` will learn as well
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await connection.send_packed_command(command, check_health=False)
                    return after if await connection.read_response() else None
            except NoScriptError:
                await answer_to(lambda: self.redis.script_load(self._follow_script.script))
        return None

    async def read(self, positions: Sequence[tuple[str, int]]) -> list[Page]:
        """A page of each log, after the event at a position; of the first logs only, if there is much."""
        arguments = (each for position in positions for each in position)
        return [Page.of(reply) for reply in await self._run(self._read, PAGE, PAGE_BYTES, *arguments)]

    async def aclose(self) -> None:
        """Close all connections."""
        await self.redis.aclose()

    def call(self, command: str, *arguments: str | bytes | float) -> Awaitable[Any]:
        """Run one of the commands in `commands.lua` or `sweep.lua`."""
        return self._run(self._commands, command, *arguments)

    async def _run(self, script: AsyncScript, *arguments: str | bytes | float) -> Any:  # noqa: ANN401 - a reply
        """What a script says; it may be sent twice: again at once if its connection was lost."""
        request = partial(script, [self._key_prefix], arguments)
        async with self._connections:
            try:
                reply = await answer_to(request)
            except ConnectionLost:
                # Idle connections may be lost too: Redis was restarted, or has closed all of them.
                with suppress(RedisError, OSError, RuntimeError):
                    await self.redis.connection_pool.disconnect(inuse_connections=False)
                reply = await answer_to(request)
        self.availability.record_answer()
        return reply


def logged_event(event_id: bytes, kind: bytes, data: bytes) -> Event:
    """An event as Redis has it; of a kind that only a later version knows, it is lost here."""
    number = int(event_id)
    return Event(number, KINDS[kind], data) if kind in KINDS else Event.of_lost(number, number)
