"""Many streams of one log: an event is framed once, and written to each of them in one loop."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from taskstream.http.stream import Stream
from taskstream.http.write_queue import SLICE, chunk
from taskstream.log import Log
from taskstream.viewers import Follower

if TYPE_CHECKING:
    from taskstream.http.streams import Streams


class Broadcast:
    """The open streams of one log, which it passes over whenever there is something new.

    Those whose viewers have read as far as the pass before are written one chunk, framed once; the
    others, and those that show more than this log, write for themselves. Ids alone decide which of the
    two it is, so that streams may join, pause, catch up and end while a pass is under way.
    """

    steps_at_once = SLICE

    def __init__(self, log: Log, streams: "Streams") -> None:
        self.streams: set[Stream] = set()
        self.listener = partial(streams.queue.add, self)
        """What the log calls when there is something new."""
        self._log = log
        self._counts = streams.counts
        self._now = streams.now
        self._sent_id = log.last_id

    def write_steps(self) -> Iterator[None]:
        """Pass over the streams until all that is new has been written; yields after each stream."""
        log = self._log
        while self.streams and (log.closed or self._sent_id != log.last_id):
            start, events = self._sent_id, b""
            if log.closed:  # each stream ends by itself
                self._sent_id = log.last_id
            else:
                events, self._sent_id = log.after(start)
            end, framed, now, written = self._sent_id, chunk(events), self._now(), 0
            for stream in list(self.streams):  # what is done in here is done for each viewer of each event
                viewer: Follower = stream.viewer  # type: ignore[assignment] # as `up_to_date` says
                if events and stream.up_to_date and viewer.last_event_id == start:
                    try:
                        stream.write(framed)
                    except Exception:  # noqa: BLE001 - it is logged, and the others are served
                        stream.fail()
                    viewer.last_event_id = end
                    stream.active_at = now
                    written += 1
                else:
                    stream.resume()
                yield
            self._counts.events += events.count(b"\n\n") * written
            self._counts.bytes += len(events) * written
            if not events:
                return
