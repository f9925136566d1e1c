"""The state of every task that is watched."""

from collections import Counter

from taskstream.client.protocol import ENDED, Snapshot


class Rows:
    """The latest snapshot of each task, what its connection does, and how watching it has failed."""

    def __init__(self) -> None:
        self.snapshots: dict[str, Snapshot] = {}
        self.notes: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self._not_started: Counter[str] = Counter()

    def show(self, snapshot: Snapshot) -> None:
        """Replace a task's snapshot; what was noted of its connection is over."""
        self.notes.pop(snapshot["task_id"], None)
        self.snapshots[snapshot["task_id"]] = snapshot

    def fail(self, task_id: str | None, how: str) -> None:
        """Take a task for "given up" or "refused"; without an id, one that wasn't started."""
        if task_id is None:
            self._not_started[how] += 1
        else:
            self.notes.pop(task_id, None)
            self.failed[task_id] = how

    def name(self, task_id: str) -> str:
        """The name of a task; its id, as long as nothing else is known."""
        name: str = self.snapshots[task_id]["name"] if task_id in self.snapshots else task_id
        return name

    def status(self, snapshot: Snapshot) -> str:
        """The status of a task, or how watching it has failed."""
        status: str = snapshot["status"]
        return self.failed.get(snapshot["task_id"], status)

    def is_over(self, snapshot: Snapshot) -> bool:
        """Whether nothing more will come of a task."""
        return snapshot["status"] in ENDED or snapshot["task_id"] in self.failed

    def totals(self) -> str:
        """How many tasks are in which state, if any was seen: `3 tasks: 2 SUCCESS, 1 given up`."""
        if not self.snapshots:
            return ""
        counts = Counter(map(self.status, self.snapshots.values()))
        counts.update(how for task_id, how in self.failed.items() if task_id not in self.snapshots)
        counts += self._not_started
        tasks = "1 task" if counts.total() == 1 else f"{counts.total()} tasks"
        return f"{tasks}: " + ", ".join(f"{n} {state}" for state, n in counts.most_common())
