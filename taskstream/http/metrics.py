"""What `GET /metrics` shows, in Prometheus' text format: each `TaskStream` has numbers of its own.

Everything is counted where it happens as a plain integer, and turned into metrics when it is asked for: so
the counts cost nothing that could be measured.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import get_args

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from taskstream.events import TaskStatus
from taskstream.http.streams import Streams
from taskstream.http.write_queue import Outcome

CONTENT_TYPE = CONTENT_TYPE_LATEST


def render(streams: Streams, tasks: Mapping[TaskStatus, int], events_published: int | None) -> bytes:
    """The text for these streams and tasks, without the events published where nobody counts them."""
    registry = CollectorRegistry()
    registry.register(Numbers(streams, tasks, events_published))
    return generate_latest(registry)


class Numbers(Collector):
    """The metrics at one moment."""

    def __init__(
        self, streams: Streams, tasks: Mapping[TaskStatus, int], events_published: int | None
    ) -> None:
        self._streams = streams
        self._tasks = Counter(tasks)
        self._events_published = events_published

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        counts = self._streams.counts
        yield gauge("streams_open", "Streams that are open", counts.open)
        yield gauge("streams_behind", "Open streams whose connections are full", self._streams.behind)
        yield counter("streams_opened", "Streams that were opened", counts.opened)
        yield labelled(
            CounterMetricFamily(
                "taskstream_streams_closed", "Streams that were closed, by outcome", labels=["outcome"]
            ),
            {outcome: counts.outcomes[outcome] for outcome in get_args(Outcome)},
        )
        if self._events_published is not None:
            yield counter("events_published", "Events appended to logs", self._events_published)
        yield counter("events_delivered", "Events sent to viewers, each counted", counts.events)
        yield counter("bytes_delivered", "Bytes of events sent to viewers, without framing", counts.bytes)
        yield labelled(
            GaugeMetricFamily("taskstream_tasks", "Tasks that are known, by status", labels=["status"]),
            {status: self._tasks[status] for status in TaskStatus},
        )


def gauge(name: str, text: str, value: float) -> Metric:
    """A number that goes up and down."""
    return GaugeMetricFamily(f"taskstream_{name}", text, value=value)


def counter(name: str, text: str, value: float) -> Metric:
    """A number that only grows."""
    return CounterMetricFamily(f"taskstream_{name}", text, value=value)


def labelled(family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[str, int]) -> Metric:
    """A number for each value of a label."""
    for label, value in values.items():
        family.add_metric([label], value)
    return family
