"""Where the tasks of an application run, and whose they are.

They run in one event loop: from the first `async with` until the last one is left.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from enum import Enum
from functools import cached_property
from typing import Self, Unpack

from taskstream.registry import Registry
from taskstream.settings import Settings, SettingsKeywords, replace
from taskstream.steps import find_step
from taskstream.tqdm_steps import tqdm_patch
from taskstream.work import WorkTable

NOT_RUNNING = (
    "This TaskStream isn't running: include its router in the application that is served (the lifespan of "
    "a mounted one never runs). A lifespan of yours that starts tasks has `async with tasks:` around its "
    "`yield`, which the router joins; a script has that, or `with tasks.sync:`, around all that it does."
)
ANOTHER_LOOP = "This TaskStream runs in another event loop"


class Everybody(Enum):
    """As a `scope`: the tasks of all scopes. What is started with it is in none, so no request sees it."""

    EVERYBODY = "everybody"


EVERYBODY = Everybody.EVERYBODY
Scope = str | Everybody


class Home:
    """An event loop and the registry in it, which is opened at its first use."""

    closing = False
    """Whether nothing is started any more."""

    def __init__(self, owner: "Running") -> None:
        self.owner = owner
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()

    @cached_property
    def registry(self) -> Registry:
        """The registry of the tasks."""
        return self.owner.open_registry(self.owner)


home_of_work: ContextVar[Home | None] = ContextVar("taskstream_home", default=None)
"""In a worker, which is no server: where the task that runs may start others."""


class Running:
    """What an application starts and stops; used in `async with`."""

    scoped = False
    """Whether each task is somebody's: then the verbs have to be told whose by `scope`, except in work."""

    def __init__(
        self,
        open_registry: Callable[["Running"], Registry],
        namespace: str,
        settings: SettingsKeywords,
        track_tqdm: bool,
    ) -> None:
        """Take what opens a registry in the running event loop. Raises `ValueError` for a bad setting."""
        self.namespace = namespace
        self.track_tqdm = track_tqdm
        self.works = WorkTable()
        self.settings = replace(Settings(), settings)
        self.open_registry = open_registry
        self._home: Home | None = None
        self._users = 0
        self._stack = AsyncExitStack()

    def configure(self, **settings: Unpack[SettingsKeywords]) -> None:
        """Replace settings, until it starts. Raises `ValueError` for a bad one, else `RuntimeError`."""
        if self._home:
            raise RuntimeError("This TaskStream runs: its settings can be replaced only before it starts.")
        self.settings = replace(self.settings, settings)

    def find_home(self) -> Home:
        """Where it runs, for whoever calls. Raises `RuntimeError` if that is nowhere."""
        home = self._home or home_of_work.get()
        if home is None or home.owner is not self:
            raise RuntimeError(NOT_RUNNING)
        return home

    def whose(self, scope: Scope | None, *, inherits: bool = False) -> str | None:
        """The scope that is meant; `None` for all of them.

        If none is said, it is that of the task that calls, where one has to be said or the call `inherits`.
        Raises `TypeError` if it is missing, `ValueError` for what can't be one.
        """
        if scope is None and (self.scoped or inherits) and (step := find_step()):
            home = self.find_home()
            is_ours = home is home_of_work.get() or (
                home.registry.mark and step.reporter.task_id.endswith(home.registry.mark)
            )
            scope = step.reporter.scope if is_ours else None
        if scope is None and self.scoped:
            raise TypeError(
                "Each task of this TaskStream is somebody's: say whose by scope=…, or EVERYBODY."
            )
        return None if scope is None or scope is EVERYBODY else check_scope(scope)

    async def __aenter__(self) -> Self:
        """Start, unless it has been started: a router that is included twice enters twice."""
        if not self._users:
            self.works.check()
            await self._stack.enter_async_context(self._run())
        elif self._home and self._home.loop is not asyncio.get_running_loop():
            raise RuntimeError(f"{ANOTHER_LOOP}: make one for each.")
        self._users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, when the last one leaves: end what still runs."""
        self._users -= 1
        if not self._users:
            await self._stack.pop_all().aclose()  # who enters meanwhile has one of its own

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[Registry]:
        """Open the registry as long as this is entered."""
        async with self.at_home() as home:
            registry = home.registry
            self._home = home
            yield registry

    @asynccontextmanager
    async def at_home(self) -> AsyncIterator[Home]:
        """Let tasks run in this event loop; when this is left, viewers are let go and running tasks end.

        Until all have ended, what ends can ask for tasks and cancel them, as its children.
        """
        home = Home(self)
        with tqdm_patch.applied(self.track_tqdm):
            try:
                yield home
            finally:
                home.closing = True
                try:
                    if "registry" in vars(home):
                        home.registry.release_viewers()
                        await home.registry.close()
                finally:
                    if self._home is home:
                        self._home = None


def check_scope(scope: object) -> str:
    """The scope, if it can be one. Raises `ValueError`."""
    if isinstance(scope, str) and scope and scope == scope.encode(errors="ignore").decode():
        return scope
    what = repr(scope)[:40] if isinstance(scope, str) else type(scope).__name__
    raise ValueError(f"A scope is text, not empty and without lone surrogates, and not {what}.")
