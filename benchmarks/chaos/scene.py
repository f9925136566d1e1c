"""Where a fault happens, and what a fault is."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random

from benchmarks.chaos.cluster import Cluster
from benchmarks.chaos.recorder import Recorder


@dataclass(frozen=True)
class Scene:
    """Where a fault happens."""

    cluster: Cluster
    draw: Random
    recorder: Recorder


Fault = Callable[[Scene], AbstractAsyncContextManager[None]]
"""Begins when it is entered, and is repaired when it is left."""
