"""What the console counts about itself, as one table: name, meaning, labels. docs/metrics.md explains each.

Until `console.kit.metrics_server` begins, which it does where METRICS_PORT is set, counting does nothing, and the
client of Prometheus is not even imported. No label holds a name of a Workspace, a Deployment or a person, nor anything
else that people may choose without end. A cluster's name is one of the few that operators gave.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

type Kind = Literal["counter", "gauge", "histogram"]

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds, of requests
SLOW = (
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    15.0,
    45.0,
)  # of passes and calls, which end within 15 or 45
ALL: "list[Metric]" = []


@dataclass(eq=False)
class Metric:
    """One of them. `real` is the client's own object, once there is one."""

    kind: Kind
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    only: str = ""  # the one role that has it
    real: Any = None

    def __post_init__(self) -> None:
        ALL.append(self)

    def _child(self, labels: tuple[str, ...]) -> Any:
        return self.real.labels(*labels) if labels else self.real

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Count one more, or `amount`; of a gauge also fewer."""
        if self.real is not None:
            self._child(labels).inc(amount)

    def set(self, value: float, *labels: str) -> None:
        """Of a gauge: the present value."""
        if self.real is not None:
            self._child(labels).set(value)

    def observe(self, seconds: float, *labels: str) -> None:
        """Of a histogram: something took so long."""
        if self.real is not None:
            self._child(labels).observe(seconds)

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which a scrape shows it."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{end}" for end in ("bucket", "count", "sum"))
        return (self.name,)


# -- Web --

REQUESTS = Metric(
    "histogram",
    "airdeck_http_request_seconds",
    "Requests by kind of page and class of status, until the first byte of the answer.",
    ("kind", "status"),
    QUICK,
)
API_REQUESTS = Metric(
    "counter",
    "airdeck_api_requests_total",
    "Requests to the API by endpoint and status.",
    ("endpoint", "method", "status"),
)
STREAMS = Metric("gauge", "airdeck_streams_open", "Event streams that are open in this process.", only="web")

# -- Worker --

PASSES = Metric(
    "histogram",
    "airdeck_pass_seconds",
    "Passes over Deployments by what they were for and how they ended.",
    ("operation", "outcome"),
    SLOW,
)
TASKS = Metric(
    "counter", "airdeck_tasks_total", "Messages that workers handled, by task.", ("task", "outcome")
)

# -- All that speak to data planes --

CALLS = Metric(
    "histogram",
    "airdeck_data_plane_call_seconds",
    "Calls of data planes by cluster, kind of call and outcome.",
    ("cluster", "call", "outcome"),
    SLOW,
)
KUBERNETES_REQUESTS = Metric(
    "counter",
    "airdeck_kubernetes_requests_total",
    "Requests to API servers of Kubernetes by method and status; status lost: no answer came.",
    ("method", "status"),
)
HINTS_DROPPED = Metric(
    "counter",
    "airdeck_hints_dropped_total",
    "Messages to workers that could not be sent. The sweep makes up for them.",
    ("task",),
)

# -- Observer and beat --

LEADS = Metric("gauge", "airdeck_cluster_leads", "1 while this observer leads the cluster.", ("cluster",))
WOKEN = Metric(
    "counter", "airdeck_rows_woken_total", "Deployments that an observer made due, by cluster.", ("cluster",)
)
SENT = Metric("counter", "airdeck_beat_sent_total", "Messages that beat sent, by task.", ("task",))

# -- What the observer reads in the console's database (deployments/queries/figures.py) --

DATABASE_UP = Metric(
    "gauge", "airdeck_database_figures_fresh", "1 while the figures of the database are at most a minute old."
)
DEPLOYMENTS = Metric("gauge", "airdeck_deployments", "Deployments by status.", ("status",))
DUE = Metric("gauge", "airdeck_rows_due", "Deployments that wait for a pass.", ("cluster",))
LEASED = Metric("gauge", "airdeck_rows_leased", "Deployments on which a pass works.", ("cluster",))
OLDEST_DUE = Metric(
    "gauge",
    "airdeck_oldest_due_seconds",
    "For how long the Deployment waits that waits longest.",
    ("cluster",),
)
CLUSTER_SILENT = Metric(
    "gauge",
    "airdeck_cluster_silent_seconds",
    "How long ago an observer last watched the cluster.",
    ("cluster",),
)
CLUSTER_LED = Metric("gauge", "airdeck_cluster_led", "1 while some observer leads the cluster.", ("cluster",))
MAIL_QUEUED = Metric(
    "gauge", "airdeck_mail_queued", "Mails that wait to be sent, by what they are about.", ("kind",)
)
MAIL_OLDEST = Metric(
    "gauge",
    "airdeck_mail_oldest_seconds",
    "How long ago the mail that waits longest first became due.",
    ("kind",),
)

READ_FROM_DATABASE = (
    DEPLOYMENTS,
    DUE,
    LEASED,
    OLDEST_DUE,
    CLUSTER_SILENT,
    CLUSTER_LED,
    MAIL_QUEUED,
    MAIL_OLDEST,
)

# -- Every process --

SIGN_OF_LIFE = Metric(
    "gauge", "airdeck_sign_of_life_seconds", "How long ago worker, observer or beat last gave a sign of life."
)
INFO = Metric("gauge", "airdeck_build_info", "Always 1; the labels say what runs.", ("role", "version"))

OF_EVERY_PROCESS = (SIGN_OF_LIFE, INFO, DATABASE_UP)


@contextmanager
def timed(metric: Metric, *labels: str) -> Iterator[None]:
    """Observe how long the block takes; a last label says `ok` or the kind of error that leaves it."""
    began, outcome = time.monotonic(), "ok"
    try:
        yield
    except BaseException as error:
        outcome = type(error).__name__
        raise
    finally:
        metric.observe(time.monotonic() - began, *labels, outcome)
