"""The logs of tasks in Redis: one stream for each, whose entry `7-0` is event 7.

Each change is one script, which Redis runs as a whole or not at all: of many last events that race, one
wins; what has ended is never appended to; what was forgotten does not come back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.backoff import NoBackoff
from redis.retry import Retry

Event = tuple[int, bytes]
"""Its id and its data."""

Entries = list[tuple[bytes, dict[bytes, bytes]]]

CONNECT_SECONDS = 1
ANSWER_SECONDS = 1
"""How long a connection, or an answer, is waited for."""

LEASE_SECONDS = 10
"""For how long a worker that says nothing is alive; its work must let other threads run meanwhile."""

SUBMIT_SECONDS = 30
"""After which a task whose start was broken off half-way is forgotten."""

LAST_EVENT_SECONDS = 2
"""For how long a log stays at the least, so that every server can read its end."""

PAGE = 100
"""Entries that are read at a time."""

BELLS = "progress:bells"
"""The channel on which the id of a task is published when there is something new in its log."""

LOG = "progress:log:"
KEYS = ("progress:running", "progress:ended", "progress:leases", "progress:submitting", BELLS)
"""The set of tasks that have not ended; and when which task is forgotten, taken for lost, given up."""

PREAMBLE = f"""
local running, ended, leases, submitting, bells = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local function log(task_id) return '{LOG}' .. task_id end
local function forget(task_id)
    redis.call('DEL', log(task_id))
    redis.call('SREM', running, task_id)
    for _, key in ipairs({{ended, leases, submitting}}) do redis.call('ZREM', key, task_id) end
end
"""

CREATE = """
local task_id, data, max_tasks, submit_seconds = unpack(ARGV)
if redis.call('SISMEMBER', running, task_id) == 1 then return 1 end  -- sent again after a lost reply
redis.call('ZREMRANGEBYSCORE', ended, '-inf', now)
while redis.call('SCARD', running) + redis.call('ZCARD', ended) >= tonumber(max_tasks) do
    local oldest = redis.call('ZRANGE', ended, 0, 0)[1]
    if not oldest then return 0 end
    forget(oldest)
end
redis.call('XADD', log(task_id), '1-0', 'data', data, 'writer', '')
redis.call('SADD', running, task_id)
redis.call('ZADD', submitting, now + submit_seconds, task_id)
return 1
"""

APPEND = """
local task_id, event_id, data, writer, last, history_length, retention_seconds, log_seconds = unpack(ARGV)
if redis.call('SISMEMBER', running, task_id) == 0 then return 0 end
local latest = redis.call('XREVRANGE', log(task_id), '+', '-', 'COUNT', 1)[1]
if not latest then return 0 end
local latest_id, latest_writer = tonumber(string.match(latest[1], '%d+')), latest[2][4]
if tonumber(event_id) <= latest_id then
    local sent_again = tonumber(event_id) == latest_id and writer == latest_writer
    return sent_again and 1 or 0
end
redis.call('XADD', log(task_id), 'MAXLEN', history_length, event_id .. '-0', 'data', data, 'writer', writer)
redis.call('ZREM', submitting, task_id)
if last == '1' then
    redis.call('SREM', running, task_id)
    redis.call('ZREM', leases, task_id)
    redis.call('ZADD', ended, now + retention_seconds, task_id)
    redis.call('PEXPIRE', log(task_id), math.ceil(1000 * log_seconds))
end
redis.call('PUBLISH', bells, task_id)
return 1
"""

RENEW = """
local task_id, seconds = unpack(ARGV)
if redis.call('SISMEMBER', running, task_id) == 0 then return 0 end
redis.call('ZADD', leases, now + seconds, task_id)
return 1
"""

SUBMITTED = "redis.call('ZREM', submitting, ARGV[1])"
FORGET = "forget(ARGV[1])"

COUNT = """
local still_running = redis.call('SCARD', running)
return {still_running + redis.call('ZCOUNT', ended, now, '+inf'), still_running}
"""

SWEEP = """
redis.call('PUBLISH', bells, '')
redis.call('ZREMRANGEBYSCORE', ended, '-inf', now)
for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', submitting, '-inf', now)) do forget(task_id) end
return redis.call('ZRANGEBYSCORE', leases, '-inf', now)
"""


def events(entries: Entries) -> list[Event]:
    """The events that are the entries of a stream."""
    return [(int(key.partition(b"-")[0]), fields[b"data"]) for key, fields in entries]


def connection_options() -> dict[str, Any]:
    """How long Redis is waited for. Who tries again does so where it is known what for."""
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }


class RedisLogs:
    """The logs of all tasks, for servers and workers. Raises `RedisError`."""

    def __init__(
        self, redis_url: str, *, connections: int, history_length: int, retention_seconds: float
    ) -> None:
        self.redis = AsyncRedis.from_url(redis_url, **connection_options())
        # Not redis-py's BlockingConnectionPool, which deadlocks when many of those who wait are cancelled.
        self._places = asyncio.Semaphore(connections)
        self._history_length = history_length
        self._retention_seconds = retention_seconds
        self._create = self._script(CREATE)
        self._submitted = self._script(SUBMITTED)
        self._append = self._script(APPEND)
        self._forget = self._script(FORGET)
        self._count = self._script(COUNT)
        self._sweep = self._script(SWEEP)

    async def create(self, task_id: str, data: bytes, max_tasks: int) -> bool:
        """Begin a log with its first event, if there is a place for it."""
        return bool(await self._create(task_id, data, max_tasks, SUBMIT_SECONDS))

    async def submitted(self, task_id: str) -> None:
        """Keep a task whose start is complete."""
        await self._submitted(task_id)

    async def append(self, task_id: str, event_id: int, data: bytes, writer: str, *, last: bool) -> bool:
        """Add an event, unless its id was given out, or the task has ended or is forgotten."""
        retention_seconds = self._retention_seconds
        log_seconds = max(retention_seconds, LAST_EVENT_SECONDS)
        lengths = (self._history_length, retention_seconds, log_seconds)
        return bool(await self._append(task_id, event_id, data, writer, int(last), *lengths))

    async def read(self, positions: Iterable[tuple[str, int]]) -> list[list[Event]]:
        """A page of each log: the event at this position, if it is still there, and those that follow."""
        async with self._places, self.redis.pipeline(transaction=False) as pipeline:
            for task_id, event_id in positions:
                pipeline.xrange(LOG + task_id, f"{event_id}-0", count=PAGE)
            replies = await pipeline.execute()
        return [
            [(int(key.partition(b"-")[0]), entry[b"data"]) for key, entry in reply] for reply in replies
        ]

    async def latest(self, task_id: str) -> Event | None:
        """The latest event of a log, if there is one."""
        async with self._places:
            reply = await self.redis.xrevrange(LOG + task_id, count=1)
        return events(cast("Entries", reply))[0] if reply else None

    async def forget(self, task_id: str) -> None:
        """Delete all there is of a task."""
        await self._forget(task_id)

    async def count(self) -> tuple[int, int]:
        """How many tasks there are, and how many of them have not ended."""
        tasks, running = await self._count()
        return tasks, running

    async def sweep(self) -> list[str]:
        """Forget what was started half-way, ring the bell, and name the tasks whose lease is over."""
        return [task_id.decode() for task_id in await self._sweep()]

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.aclose()

    def _script(self, script: str) -> Callable[..., Awaitable[Any]]:
        registered = self.redis.register_script(PREAMBLE + script)

        async def call(*arguments: str | bytes | float) -> Any:  # noqa: ANN401 - what the script returns
            async with self._places:
                return await registered(KEYS, arguments)

        return call


class Leases:
    """The leases that workers hold on the tasks they run; for threads. Raises `RedisError`."""

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url, **connection_options())
        self._renew = self._redis.register_script(PREAMBLE + RENEW)

    def renew(self, task_id: str) -> bool:
        """Hold a task for some more time, if it has not ended."""
        return bool(self._renew(KEYS, (task_id, LEASE_SECONDS)))

    def close(self) -> None:
        """Close all connections."""
        self._redis.close()
