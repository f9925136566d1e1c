"""Bars of tqdm as steps: those that are made in a task are shown to its viewers as well.

A step is bound when its bar is made, as the threads that move it may have no context. tqdm decides when a
bar is refreshed: values lag by its `mininterval`, at worst by its `maxinterval`; the last one is right.
"""

import asyncio
import inspect
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import wraps
from importlib.util import find_spec
from threading import Lock, get_ident
from typing import Any

from taskstream.steps import Step, find_step

Bar = Any
"""An instance of `tqdm.std.tqdm`, or of a subclass."""

NO_LINE = 1_000_000
"""The position of a bar that isn't displayed: none that a visible one could have."""


class Patch:
    """The change of tqdm, which is the whole process's: made for the first user, undone after the last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0

    @contextmanager
    def applied(self, wanted: bool) -> Iterator[None]:
        """Have bars be steps meanwhile, if that is wanted, and tqdm is installed."""
        if not wanted or not find_spec("tqdm"):
            yield
            return
        from tqdm.std import tqdm

        with self._lock:
            self._users += 1
            if self._users == 1:
                self._undo = patch(tqdm)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._undo()


tqdm_patch = Patch()


def patch(tqdm: Any) -> Callable[[], None]:  # noqa: ANN401 - a class without types of its own
    """Replace methods of tqdm; returns what puts them back."""
    begin, show, end = tqdm.__init__, tqdm.refresh, tqdm.close

    @wraps(begin)
    def init(bar: Bar, *args: object, **kwargs: object) -> None:
        begin(bar, *args, **kwargs)
        if here := find_step():
            if bar.disable and not kwargs.get("gui"):
                enable(begin, bar, *args, **kwargs)
            if not bar.disable:
                bar.taskstream_step = Step(here, "", None)
                tell(bar, new=True)

    @wraps(show)
    def refresh(bar: Bar, nolock: bool = False, lock_args: tuple[Any, ...] | None = ()) -> object:
        with nullcontext() if nolock or lock_args else bar.get_lock():  # tqdm keeps it if `display` raises
            shown = show(bar, nolock or not lock_args, lock_args)
        is_over = (step := tell(bar)) and step.reporter.closed and step.thread == get_ident()
        if is_over and lock_args != ():  # of `update`; what else refreshes, as the monitor, mustn't
            raise asyncio.CancelledError("The task has ended")
        return shown

    @wraps(end)
    def close(bar: Bar) -> None:
        if step := tell(bar):
            step.close()
        end(bar)

    def undo() -> None:
        tqdm.__init__, tqdm.refresh, tqdm.close = begin, show, end

    tqdm.__init__, tqdm.refresh, tqdm.close = init, refresh, close
    return undo


def enable(begin: Callable[..., None], bar: Bar, *args: object, **kwargs: object) -> None:
    """Begin a bar that is disabled, and would count nothing, as one that counts and isn't displayed."""
    given = inspect.signature(begin).bind(bar, *args, **kwargs)
    given.arguments.pop("kwargs", None)  # which a disabled bar takes, and no other
    given.arguments |= {"disable": False, "file": io.StringIO(), "gui": True, "position": NO_LINE}
    with bar.get_lock():
        bar._instances.add(bar)  # for tqdm's monitor
    begin(*given.args, **given.kwargs)
    bar.sp = bar.display = lambda *_, **__: True


def tell(bar: Bar, new: bool = False) -> Step | None:
    """Say how far a bar has come, if it is `new` or that is news; its step, if it was made in a task."""
    step: Step | None = getattr(bar, "taskstream_step", None)
    if step is None or bar.disable:
        return None
    before, unit = (step.done, step.label, step.total, step.unit), str(bar.unit).strip()
    step.describe(str(bar.desc).rstrip(": ") or "Working", bar.total, None if unit == "it" else unit)
    if new or before != (bar.n, step.label, step.total, step.unit):
        with suppress(asyncio.CancelledError):
            step.reporter.report(step, done=bar.n)
    return step
