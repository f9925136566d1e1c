"""Failures: what viewers are told of them, and what the server's log is."""

import logging
import traceback
from contextlib import suppress

from taskstream.encoding import text_of
from taskstream.errors import detail_of
from taskstream.updates import WorkError

logger = logging.getLogger(__name__)


def explain(error: BaseException) -> str:
    """An error in words for the viewers, who must not be shown a traceback."""
    if isinstance(error, WorkError):
        return text_of(error) or "Failed"  # its own `__str__` may fail: the task has to end all the same
    if detail := detail_of(error):
        return detail
    return f"Unexpected {type(error).__name__}: the server's log has the details"


def log_failure(message: str, error: BaseException) -> None:
    """Log an error with its traceback, in which no text of a client can look like a line of the log."""
    info = (type(error), error, error.__traceback__)
    record = logger.makeRecord(logger.name, logging.ERROR, __file__, 0, message, (), info)
    with suppress(Exception):  # what formats the record tries again
        lines = "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
        record.exc_text = "\n".join(f"  {printable(line)}" for line in lines)
    if logger.isEnabledFor(logging.ERROR):
        logger.handle(record)


def printable(line: str) -> str:
    """The line with escapes for what a terminal would obey."""
    if line.isprintable():
        return line
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
