"""What the three clients share: their flags, how they show tasks on a terminal, and how they end."""

from taskstream.terminal.command_line import Arguments, parse_arguments
from taskstream.terminal.terminal import Terminal

__all__ = ["Arguments", "Terminal", "parse_arguments"]
