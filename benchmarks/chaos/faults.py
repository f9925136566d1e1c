"""What the nemesis can do, by name. The names of those that strike workers begin with `worker`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.chaos.line_faults import (
    all_lines,
    damaged,
    lines_reset,
    server_line,
    server_lines,
    worker_line,
    worker_lines,
)
from benchmarks.chaos.program_faults import (
    any_server,
    any_worker,
    killed,
    lid,
    redis,
    suspended,
    worker_child_killed,
    worker_child_suspended,
    worker_orphans,
)
from benchmarks.chaos.redis_faults import (
    clients_killed,
    clock_set_back,
    later_version,
    messages_twice,
    redis_failed_over,
    redis_flushed,
    redis_full,
    redis_restarted,
    redis_rolled_back,
)
from benchmarks.chaos.scene import Fault, Scene


@asynccontextmanager
async def pause(_: Scene) -> AsyncIterator[None]:
    """Nothing at all: the same time without a fault."""
    yield


FAULTS: dict[str, Fault] = {
    "pause": pause,
    "server-killed": killed(any_server),
    "server-suspended": suspended(any_server),
    "worker-killed": killed(any_worker),
    "worker-suspended": suspended(any_worker),
    "worker-orphans": worker_orphans,
    "worker-child-killed": worker_child_killed,
    "worker-child-suspended": worker_child_suspended,
    "lid": lid,
    "redis-killed": killed(redis),
    "redis-suspended": suspended(redis),
    "redis-restarted": redis_restarted,
    "redis-full": redis_full,
    "clients-killed": clients_killed,
    "clock-set-back": clock_set_back,
    "later-version": later_version,
    "redis-flushed": redis_flushed,
    "redis-rolled-back": redis_rolled_back,
    "redis-failed-over": redis_failed_over,
    "lines-reset": lines_reset,
    "lines-narrow": damaged(all_lines, bytes_per_second=1_000_000),
    "lines-slow": damaged(all_lines, delay_seconds=0.1),
    "lines-split": damaged(all_lines, splits=True),
    "server-line-cut": damaged(server_line, refuses=True),
    "server-line-swallows": damaged(server_line, swallows=True),
    "servers-replies-lost": damaged(server_lines, reply_losses=0.2),
    "worker-line-cut": damaged(worker_line, refuses=True),
    "worker-line-swallows": damaged(worker_line, swallows=True),
    "workers-replies-lost": damaged(worker_lines, reply_losses=0.2),
    "messages-twice": messages_twice,
}
