"""The records of `logging` as output of the task in which they were written."""

import logging

from taskstream.reporting import current


class OutputHandler(logging.Handler):
    """Turns each record into a line of output of the current task; outside of a task, it does nothing.

    What it writes is `format(record)`: by default the level and the message. Tracebacks are for the log of
    the server, and left out unless there is a formatter that has them.
    """

    def createLock(self) -> None:  # noqa: N802 - the name is logging's
        """Have none: a thread that has to wait in here must not make others wait."""
        self.lock = None

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
