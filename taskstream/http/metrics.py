"""What `GET /metrics` shows, in Prometheus' text format: each `TaskStream` has numbers of its own.

Everything is counted where it happens as a plain integer, and turned into metrics when it is asked for: so
the counts cost nothing that could be measured.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from prometheus_client.core import CounterMetricFamily as Counter, GaugeMetricFamily as Gauge, Metric
from prometheus_client.registry import Collector

from taskstream.events import TaskStatus
from taskstream.http.streams import Streams
from taskstream.http.write_queue import Outcome


@dataclass
class Numbers(Collector):
    """The metrics at one moment, without the events published where nobody counts them."""

    streams: Streams
    tasks: Mapping[TaskStatus, int]
    events_published: int | None

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        streams = self.streams
        yield Gauge("taskstream_streams_open", "Streams that are open", streams.open)
        yield Gauge("taskstream_streams_behind", "Open streams whose connections are full", streams.behind)
        yield Counter("taskstream_streams_opened", "Streams that were opened", streams.opened)
        closed = Counter(
            "taskstream_streams_closed", "Streams that were closed, by outcome", None, ["outcome"]
        )
        for outcome in get_args(Outcome):
            closed.add_metric([outcome], streams.outcomes[outcome])
        yield closed
        if (published := self.events_published) is not None:
            yield Counter("taskstream_events_published", "Events appended to logs", published)
        yield Counter("taskstream_events_delivered", "Events sent to viewers, each counted", streams.events)
        yield Counter("taskstream_bytes_delivered", "Bytes of events sent, without framing", streams.bytes)
        known = Gauge("taskstream_tasks", "Tasks that are known", labels=["status"])
        for status in TaskStatus:
            known.add_metric([status], self.tasks.get(status, 0))
        yield known
