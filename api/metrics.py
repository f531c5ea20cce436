"""What the service says of itself to Prometheus.

One registry a process; several processes write into files of a folder that `up --processes` makes, and whichever is
asked answers for all.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from api.service import Service

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # the library's own name
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STREAM = "/api/stream"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts of one process, and how to tell them.

    Args:
        service: whose boundaries, connections and readers are told.
    """

    def __init__(self, service: "Service") -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "gridmap_requests", "Answered requests", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "gridmap_request_seconds", "Time to the last byte of an answer", ["method", "route"],
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._stored = Counter("gridmap_events_stored", "Events stored one by one", registry=self._registry)
        self._group = Histogram(
            "gridmap_post_group", "Posts stored in one transaction", buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self._registry,
        )  # fmt: skip
        self._refused = Counter(
            "gridmap_refused", "Requests refused by a limit", ["limit"], registry=self._registry
        )
        self._state = _State(service)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts an answer."""
        self._requests.labels(method, route, str(status)).inc()
        if route != STREAM:  # which lasts as long as somebody looks
            self._seconds.labels(method, route).observe(seconds)

    def refused(self, limit: str) -> None:
        """Counts a request that a limit refused."""
        self._refused.labels(limit).inc()

    def posted(self, posts: int, stored: int) -> None:
        """Counts a group of posts and how many of them were new."""
        self._group.observe(posts)
        self._stored.inc(stored)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        if folder := os.environ.get(FOLDER_VARIABLE):
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]  # the library has no types there
            counted = generate_latest(registry)
        else:
            counted = generate_latest(self._registry)
        own = CollectorRegistry()
        own.register(self._state)
        ProcessCollector(registry=own)
        return counted + generate_latest(own)


class _State(Collector):
    """What holds now in the process that answers."""

    def __init__(self, service: "Service") -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        service = self._service
        snapshot = service.memory.held
        for name, what, value in (
            ("edition", "Edition of boundaries in force here", snapshot.edition),
            ("areas", "Areas of that edition", len(snapshot)),
            ("index_bytes", "Memory that its index takes", snapshot.index.nbytes),
            ("live", "1 while this process hears of changes", int(service.live.connected)),
            ("stream_readers", "Open live streams of this process", service.hub.readers),
            ("connections_in_use", "Database connections in use here", service.database.in_use),
            ("posts_waiting", "Posts waiting to be stored here", service.posting.waiting),
            ("audit_waiting", "Records of what was read, waiting to be stored here", service.scribe.waiting),
            ("audit_failing", "Failures in a row to store or seal records here", service.scribe.failing),
            ("audit_unrecorded", "Records that could not be stored here", service.scribe.unrecorded),
        ):
            yield GaugeMetricFamily(f"gridmap_{name}", what, value=value)
