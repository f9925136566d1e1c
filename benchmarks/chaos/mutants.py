"""Safeguards that can be switched off, one at a time: a checker that does not notice checks nothing."""

import dataclasses
from collections.abc import Callable

from benchmarks.chaos.limits import Limits
from benchmarks.chaos.switches import (
    always_204,
    deaf_to_threads,
    edit,
    forget_at_jumps,
    replace,
    shown,
    speak_last,
)

NO_LIMITS = Limits()


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A safeguard: what is wrong without it, which faults bring that to light, how to switch it off."""

    without: str
    faults: tuple[str, ...]
    switch_off: Callable[[], None]
    limits: Limits = NO_LIMITS


MUTANTS = {
    "no-last-event": Mutant(
        "a worker goes on with a task that was cancelled",
        (),
        edit("if before.kind == 'last' then return false end", ""),
    ),
    "numbers-given-twice": Mutant(
        "an event takes its number also where the end of a cancelled task has it",
        (),
        edit(
            "if not redis.call('ZSCORE', KEYS[1] .. 'leases', task_id) then return 0 end\n"
            "local added = redis.pcall('XADD', log, 'NOMKSTREAM', 'MAXLEN', history_length, id .. '-0',",
            "local added = redis.pcall('XADD', log, 'NOMKSTREAM', 'MAXLEN', history_length, id .. '-*',",
        ),
    ),
    "said-after-the-end": Mutant(
        "what work says while its result is encoded comes behind the end", (), speak_last
    ),
    "deaf-to-threads": Mutant("what work says in threads is lost", (), deaf_to_threads),
    "forgotten-at-jumps": Mutant(
        "after a restart of Redis, late viewers don't get what it still has",
        ("redis-restarted",),
        forget_at_jumps,
    ),
    "secrets-hidden": Mutant(
        "parameters reach a worker as they would be shown",
        (),
        replace("taskstream.work", "Work.to_json", lambda _, parameters: shown(parameters.values())),
    ),
    "no-resuming": Mutant("whoever comes back is told that there is nothing more", (), always_204),
    "replay-from-the-start": Mutant(
        "whoever comes back sees everything again",
        (),
        replace("taskstream.log", "Log.parse_id", lambda *_: 0),
    ),
    "keys-ignored": Mutant(
        "an idempotency key starts a task each time it is sent",
        (),
        edit("local first = idempotency_key ~= ''", "local first = false"),
    ),
    "no-lease-renewal": Mutant(
        "a worker whose work is silent for longer than a lease is presumed lost",
        ("pause",),
        replace("taskstream.redis.worker", "Leases.renew", lambda *_: True),
    ),
    "no-time-to-come-back": Mutant(
        "after everything was suspended, all workers are presumed lost",
        ("lid",),
        edit("PAUSE_SECONDS = 5", "PAUSE_SECONDS = 1000"),
    ),
    "writers-ignored": Mutant(
        "a message that comes twice begins the work twice",
        ("messages-twice",),
        edit("(before.writer == '' or before.writer == writer)", "true"),
    ),
    "counts-ignored": Mutant(
        "what is sent again after a lost reply is appended again",
        ("workers-replies-lost",),
        edit("if tonumber(count) > counted then", "if true then"),
    ),
    "no-second-message": Mutant(
        "a message that was lost on its way to a worker is lost for ever",
        ("workers-replies-lost", "worker-line-swallows"),
        edit("redis.call('RPUSH', queue, lost)", ""),
    ),
    "no-jump": Mutant(
        "after a roll-back, numbers that viewers have seen are given out again",
        ("redis-rolled-back",),
        edit("if before.history ~= history then", "if false then"),
    ),
    "running-tasks-make-room": Mutant(
        "in a full registry a task that runs is forgotten for a new one",
        ("pause",),
        edit("'ZRANGE', ended, 0, 0)[1]", "'SRANDMEMBER', running)"),
        Limits(max_tasks=8),
    ),
    "no-limit": Mutant(
        "there may be more tasks than there are places",
        ("pause",),
        edit(">= tonumber(max_tasks) do", "< 0 do"),
        Limits(max_tasks=8),
    ),
    "forgotten-too-soon": Mutant(
        "a log is gone soon after its end",
        ("pause",),
        edit("math.ceil(1000 * log_seconds)", "500"),
        Limits(retention_seconds=5),
    ),
    "never-forgotten": Mutant(
        "a task that has ended is kept for ever",
        ("pause",),
        edit("redis.call('PEXPIRE', log(task_id), math.ceil(1000 * log_seconds))", ""),
        Limits(retention_seconds=5),
    ),
}
