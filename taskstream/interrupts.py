"""Ctrl-C without a traceback, for programs whose imports take a second: imported before all others.

No module of the package imports this one, as its import has an effect: what other applications show on
Ctrl-C is their own business.
"""

import sys
from types import TracebackType

INTERRUPTED = 130
"""The exit code of a program that SIGINT has ended, as a shell gives it."""

show_error = sys.excepthook


def show_unless_interrupted(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Show an error that nobody has handled, unless it is Ctrl-C."""
    if isinstance(error.__cause__, KeyboardInterrupt):  # Python 3.11 wraps what __set_name__ raises
        sys.exit(INTERRUPTED)
    if not isinstance(error, KeyboardInterrupt):
        show_error(kind, error, traceback)


sys.excepthook = show_unless_interrupted
