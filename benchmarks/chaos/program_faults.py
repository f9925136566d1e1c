"""What can happen to processes: they die, or stand still."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import psutil

from benchmarks.chaos.programs import Program
from benchmarks.chaos.scene import Fault, Scene

LID_SECONDS = 13
"""Longer than a lease."""


def killed(choose: Callable[[Scene], Program]) -> Fault:
    """A program and its children die, and it is started again."""

    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[None]:
        program = choose(scene)
        program.kill()
        try:
            yield
        finally:
            program.start()

    return fault


def suspended(choose: Callable[[Scene], Program]) -> Fault:
    """A program and its children stand still for a while."""

    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[None]:
        program = choose(scene)
        program.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            program.signal(signal.SIGCONT)

    return fault


def any_server(scene: Scene) -> Program:
    """One of the servers."""
    return scene.draw.choice(scene.cluster.servers)


def any_worker(scene: Scene) -> Program:
    """One of the workers."""
    return scene.draw.choice(scene.cluster.workers)


def redis(scene: Scene) -> Program:
    """Redis."""
    return scene.cluster.redis_server


@asynccontextmanager
async def worker_orphans(scene: Scene) -> AsyncIterator[None]:
    """A worker dies, but not its children, which run on; and it is started again."""
    worker = any_worker(scene)
    worker.kill_parent()
    try:
        yield
    finally:
        worker.start()


def any_child(scene: Scene) -> psutil.Process | None:
    """One of the processes that run tasks."""
    children = [child for worker in scene.cluster.workers for child in worker.children()]
    return scene.draw.choice(children) if children else None


@asynccontextmanager
async def worker_child_killed(scene: Scene) -> AsyncIterator[None]:
    """A process that runs a task dies; its worker makes another."""
    if child := any_child(scene):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    yield


@asynccontextmanager
async def worker_child_suspended(scene: Scene) -> AsyncIterator[None]:
    """A process that runs a task stands still for a while."""
    child = any_child(scene)
    with suppress(psutil.NoSuchProcess):
        if child:
            child.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            if child:
                child.resume()


@asynccontextmanager
async def lid(scene: Scene) -> AsyncIterator[None]:
    """Everything stands still at once, for longer than a lease: the lid of a laptop is shut."""
    for program in scene.cluster.programs:
        program.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(LID_SECONDS)
        yield
    finally:
        for program in scene.cluster.programs:
            program.signal(signal.SIGCONT)
