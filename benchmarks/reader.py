"""Viewers that read a text, and compare it with what was written, byte for byte."""

import re
import time
from dataclasses import dataclass

from benchmarks.emission import piece
from benchmarks.viewer import Viewer, Watch

TEXT = re.compile(rb'"text": ?"([^"]*)"')
"""A piece of the text in the data of an event: it has nothing that JSON would escape."""


@dataclass
class Reading:
    """The text that all readers are to get, and how far they have come."""

    text: bytes
    whole: int = 0
    """How many readers have all of it."""
    wrong: int = 0
    """How many have got something else in its place."""
    first_at: float = 0
    last_at: float = 0

    @classmethod
    def of(cls, pieces: int) -> "Reading":
        """The text that consists of so many pieces."""
        return cls("".join(map(piece, range(1, pieces + 1))).encode())


class Reader(Viewer):
    """One who reads the text of one task."""

    characters = 0
    _rest = b""
    _wrong = False

    def __init__(self, watch: Watch, path: str, reading: Reading) -> None:
        super().__init__(watch, path)
        self._reading = reading

    def data_received(self, data: bytes) -> None:
        """Compare what has come completely."""
        self._watch.nap()
        data = self._rest + data
        end = data.rfind(b"}") + 1
        self._rest = data[end:]
        if self._wrong or not (text := b"".join(TEXT.findall(data, 0, end))):
            return
        reading, start = self._reading, self.characters
        self.characters += len(text)
        reading.last_at = time.monotonic()
        reading.first_at = reading.first_at or reading.last_at
        if reading.text[start : self.characters] != text:
            self._wrong = True
            reading.wrong += 1
        elif self.characters == len(reading.text):
            reading.whole += 1
