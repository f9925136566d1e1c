"""The Lua scripts that Redis runs: by one all tasks are changed, by the other their logs are read."""

from functools import cache
from importlib.resources import files


@cache
def source() -> str:
    """The script that changes tasks. Its one key is the namespace with a colon."""
    return _text("keys.lua") + _text("commands.lua")


@cache
def read_source() -> str:
    """The script that reads logs."""
    return _text("read.lua")


def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
