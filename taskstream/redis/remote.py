"""Tasks as their logs in Redis have them, in a server or a worker."""

from typing import Self

from taskstream.events import Snapshot, TaskStatus
from taskstream.log import Log
from taskstream.redis.logs import Decision, RedisLogs
from taskstream.settings import Settings
from taskstream.tasks import Task


class RemoteTask(Task):
    """A task as its log in Redis has it."""

    def __init__(self, task_id: str, settings: Settings) -> None:
        super().__init__(task_id, Log(settings.history_length, settings.history_bytes))

    @classmethod
    def after(cls, task_id: str, number: bytes, snapshot: bytes, settings: Settings) -> Self:
        """A task that is continued, or ended, after the event of this number."""
        task = cls(task_id, settings)
        task.log.append(snapshot, event_id=int(number))
        task.outline = Snapshot.from_json(snapshot)
        return task


async def find_task(logs: RedisLogs, task_id: str) -> RemoteTask | None:
    """A task that is remembered, to be continued after its latest event."""
    if not (found := await logs.call("latest", task_id)):
        return None
    number, data, scope = found
    task = RemoteTask.after(task_id, number, data, logs.settings)
    task.scope = scope.decode() or None
    return task


async def end_task(logs: RedisLogs, task_id: str, status: TaskStatus, message: str) -> None:
    """End a task that has not ended, whatever its worker does at the same moment."""
    while decision := await logs.call("decide", task_id, status, message):
        if await carry_out(logs, decision):
            return


async def carry_out(logs: RedisLogs, decision: Decision) -> bool:
    """Append what was decided, unless something else was appended meanwhile.

    False if so: the task has ended, or begun, or Redis has lost the decision.
    """
    task_id, status, message, number, data = decision
    task = RemoteTask.after(task_id.decode(), number, data, logs.settings)
    task.publish(TaskStatus(status.decode()), message.decode())
    events = task.log.events_after(int(number))
    return await logs.append(task.task_id, events, writer="") is not None
