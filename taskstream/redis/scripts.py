"""The Lua script by which all tasks in Redis are changed: `keys.lua`, then `commands.lua`."""

from functools import cache
from importlib.resources import files


@cache
def source() -> str:
    """The text of the script. Its one key is the namespace with a colon, its first argument a command."""
    folder = files(__package__)
    return "".join((folder / name).read_text(encoding="utf-8") for name in ("keys.lua", "commands.lua"))
