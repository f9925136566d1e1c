"""Safeguards that can be switched off, one at a time: a checker that does not notice checks nothing.

Each patches the modules of `taskstream` in the process that is about to run them.
"""

import asyncio
import dataclasses
import importlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from pydantic_core import to_json

from benchmarks.chaos.limits import Limits
from taskstream.events import Event
from taskstream.redis import logs

NO_LIMITS = Limits()

FAR = 1_000_000
"""No task has so many events: the numbers have jumped."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A safeguard: what is wrong without it, which faults bring that to light, how to switch it off."""

    without: str
    faults: tuple[str, ...]
    switch_off: Callable[[], None]
    limits: Limits = NO_LIMITS


def edit(old: str, new: str) -> Callable[[], None]:
    """Edit the script that Redis runs. Raises `LookupError` if the script is not what it was."""

    def switch_off() -> None:
        script = logs.script
        if old not in script(*logs.COMMANDS):
            raise LookupError(f"The script has no {old!r} any more: change the mutant.")
        # Before others import it from there.
        logs.script = lambda *names: script(*names).replace(old, new)

    return switch_off


def replace(module: str, name: str, value: object) -> Callable[[], None]:
    """Replace a name in a module, or in a class of it. Raises `AttributeError` if there is none."""

    def switch_off() -> None:
        owner: Any = importlib.import_module(module)
        *classes, attribute = name.split(".")
        for each in classes:
            owner = getattr(owner, each)
        getattr(owner, attribute)
        setattr(owner, attribute, value)

    return switch_off


def always_204() -> None:
    """Answer everybody who comes back that there is nothing more."""
    from fastapi import Request, Response

    from taskstream import TaskStream

    stream = TaskStream.stream

    async def refuse(tasks: TaskStream, request: Request, task_id: str) -> Response:
        if request.headers.get("last-event-id"):
            return Response(status_code=204)
        return await stream(tasks, request, task_id)

    replace("taskstream", "TaskStream.stream", refuse)()


def shown(values: dict[str, object]) -> str:
    """Parameters as JSON for people, which hides secrets."""
    return to_json(values).decode()


def deaf_to_threads() -> None:
    """Take output in the event loop only."""
    from taskstream.bridge import Reporter

    take = Reporter.output

    def output(reporter: Reporter, text: str) -> None:
        with suppress(RuntimeError):  # there is no loop in this thread
            asyncio.get_running_loop()
            take(reporter, text)

    replace("taskstream.bridge", "Reporter.output", output)()


def forget_at_jumps() -> None:
    """Drop what a server knows of a log when its numbers jump."""
    from taskstream.redis.remote import RemoteTask

    receive = RemoteTask.receive

    def receive_anew(task: RemoteTask, events: Iterable[Event]) -> None:
        for event in events:
            if event.id > task.log.last_id + FAR:
                for column in (task.log._ids, task.log._kinds, task.log._data):
                    column.clear()
            receive(task, [event])

    replace("taskstream.redis.remote", "RemoteTask.receive", receive_anew)()


MUTANTS = {
    "no-last-event": Mutant(
        "a worker goes on with a task that was cancelled",
        (),
        edit("if before.kind == 'last' then return false end", ""),
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
        replace("taskstream.redis.logs", "PAUSE_SECONDS", 1000),
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
