"""The records of `logging` as output of the task in which they were written."""

import logging

from taskstream.reporting import current


class OutputHandler(logging.Handler):
    """Turns each record into a line of output of the current task; outside of a task, it does nothing.

    What it writes is `format(record)`: by default the level and the message. Tracebacks are for the log of
    the server, and left out unless there is a formatter that has them.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Take in a record; without a lock: a thread that has to wait here must not make others wait."""
        accepted: object = self.filter(record)  # from Python 3.12 on, perhaps another record
        if accepted:
            self.emit(accepted if isinstance(accepted, logging.LogRecord) else record)
        return bool(accepted)

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record."""
        return super().format(record) if self.formatter else f"{record.levelname} {record.getMessage()}"

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record to the output. Raises `asyncio.CancelledError` once the task is cancelled."""
        reporter = current.get()
        if reporter is None or record.name.partition(".")[0] == __package__:
            return  # what the package says of a task that failed is for the server's log as well
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - logging decides what becomes of it
            self.handleError(record)
        else:
            reporter.output(f"{line}\n")
