"""Text for terminals: what a server sends, made harmless and short enough."""

import json
import unicodedata

from rich.cells import cell_len, set_cell_size

RESULT_CHARACTERS = 200
"""How much of a task's result is shown."""
HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of what a terminal obeys instead of showing it: control characters, those that turn
text around or are invisible, halves of characters, separators of lines and paragraphs."""
JOINERS = "\u200c\u200d"
"""Invisible, but part of words in some languages, and of emoji."""


def printable(text: str) -> str:
    r"""The text, with what must not reach a terminal spelled out: `\x1b`."""
    if text.isprintable():
        return text
    return "".join(spelled_out(each) if is_harmful(each) else each for each in text)


def is_harmful(character: str) -> bool:
    """Whether a terminal would obey a character, or not show it."""
    return unicodedata.category(character) in HARMFUL and character not in JOINERS


def spelled_out(character: str) -> str:
    """A character as Python writes it."""
    return character.encode("unicode_escape").decode()


def shorten(text: str, cells: int) -> str:
    """The text in so many cells of a terminal, without its middle: the number at its end tells it apart."""
    if cell_len(text) <= cells:
        return text
    tail = text[-1:]
    while cell_len(tail) < (cells - 1) // 2 and len(tail) < len(text):
        tail = text[-len(tail) - 1 :]
    if cell_len(tail) > cells - 1:
        return set_cell_size(text, cells)
    return set_cell_size(text, cells - 1 - cell_len(tail)) + "…" + tail


def result_of(data: object) -> str:
    """The result of a task as JSON on one line, or the beginning of it."""
    try:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "…"
    return printable(text if len(text) <= RESULT_CHARACTERS else text[: RESULT_CHARACTERS - 1] + "…")


def duration(seconds: float) -> str:
    """A number of seconds in words: 5 s, 2 min 05 s, 1 h 30 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"
