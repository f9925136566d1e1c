"""How safeguards are switched off: by patches of `taskstream` in the process that is about to run it."""

import asyncio
import importlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from pydantic_core import to_json

from taskstream.events import Event, Kind
from taskstream.redis import logs

FAR = 1_000_000
"""No task has so many events: the numbers have jumped."""


def edit(old: str, new: str) -> Callable[[], None]:
    """Edit the scripts that Redis runs. Raises `LookupError` if they are not what they were."""

    def switch_off() -> None:
        script = logs.script
        if old not in script(*logs.COMMANDS, "follow"):
            raise LookupError(f"No script has {old!r} any more: change the mutant.")
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


def speak_last() -> None:
    """Append what work has said last behind its end."""
    from taskstream.tasks import Task

    publish = Task.publish

    def publish_first(task: Task, *about: Any, **more: Any) -> None:  # noqa: ANN401 - as they come
        said: list[Any] = []
        if task.reporter is not None:
            said, task.reporter._said = task.reporter._said, []
        publish(task, *about, **more)
        for text in (each for each in said if isinstance(each, str)):
            task.log.append(to_json({"text": text}), Kind.OUTPUT)

    replace("taskstream.tasks", "Task.publish", publish_first)()


def forget_at_jumps() -> None:
    """Drop what a server knows of a log when its numbers jump."""
    from taskstream.redis.mirrors import Mirror

    receive = Mirror.receive

    def receive_anew(task: Mirror, events: Iterable[Event]) -> None:
        for event in events:
            if event.id > task.log.last_id + FAR:
                task.log.drop_events()
            receive(task, [event])

    replace("taskstream.redis.mirrors", "Mirror.receive", receive_anew)()
