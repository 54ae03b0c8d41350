"""`/metrics` for Prometheus, on a port of its own in each process.

A scrape reads what is in memory: it asks neither Postgres nor Redis nor a data plane. A port that is taken is a line in
the log. The children of a worker write into files of one folder, each into that of its place in the pool, so that a
child which takes another one's place goes on with its counts. The worker's main process adds them up (the client's
multi-process mode).
"""

import atexit
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    values,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from console.kit import heartbeat
from console.kit.metrics import (
    ALL,
    DATABASE_UP,
    INFO,
    OF_EVERY_PROCESS,
    READ_FROM_DATABASE,
    SIGN_OF_LIFE,
    Metric,
)

logger = structlog.get_logger(__name__)

EVERY_SECONDS = 15.0  # how often the figures of the database are read
FRESH_SECONDS = 60.0  # older figures are left out: a gap is shown as one
BIND_SECONDS = 5.0  # until a port that was taken is tried again
SOCKET_SECONDS = 5.0  # who connects and asks nothing is let go
FOLDER = "airdeck-metrics-"
type Figures = Mapping[Metric, Mapping[tuple[str, ...], float]]


class Snapshot:
    """The last figures of the database, read by a thread that a silent database may hold up without holding up a
    scrape."""

    def __init__(self, read: Callable[[], Figures]) -> None:
        self._read = read
        self._figures: Figures = {}
        self._at = 0.0

    def refresh(self) -> None:
        """Read them once. Never raises: what fails leaves the last ones to grow old."""
        try:
            self._figures = self._read()
            self._at = time.monotonic()
        except Exception as error:
            logger.warning("figures_not_read", error=type(error).__name__)

    def run(self) -> None:
        """For ever, in a thread of its own."""
        while True:
            self.refresh()
            time.sleep(EVERY_SECONDS)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """What a scrape shows of them."""
        fresh = bool(self._at) and time.monotonic() - self._at < FRESH_SECONDS
        yield GaugeMetricFamily(DATABASE_UP.name, DATABASE_UP.help, value=float(fresh))
        for metric, series in self._figures.items() if fresh else ():
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in series.items():
                family.add_metric(labels, value)
            yield family


class _Life:
    """What is true of the process that answers."""

    def __init__(self, role: str, version: str) -> None:
        self._labels = (role, version)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Its role and version, and the age of its sign of life where it gives one."""
        info = GaugeMetricFamily(INFO.name, INFO.help, labels=INFO.labels)
        info.add_metric(self._labels, 1.0)
        yield info
        age = heartbeat.age()
        if age is not None:
            yield GaugeMetricFamily(SIGN_OF_LIFE.name, SIGN_OF_LIFE.help, value=age)


def start(
    *, role: str, version: str, address: str, port: int, figures: Callable[[], Figures] | None = None
) -> int:
    """Count from now on, and answer scrapes at `address` and `port` (0: any that is free). `figures` reads what the
    observer reports of the database. Returns the port, or 0 while it is not free: the process goes on all the same."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a third of all lines, of no use
    registry = CollectorRegistry()
    if role == "worker":
        _across_children(registry)
        _make(None, role)
    else:
        _make(registry, role)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(_Life(role, version))
    if figures is not None:
        snapshot = Snapshot(figures)
        registry.register(snapshot)
        threading.Thread(target=snapshot.run, name="metrics-figures", daemon=True).start()
    return _serve(registry, address, port)


def _make(registry: CollectorRegistry | None, role: str) -> None:
    kinds: dict[str, Any] = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
    for metric in ALL:
        if metric in OF_EVERY_PROCESS or metric in READ_FROM_DATABASE or metric.only not in ("", role):
            continue
        options: dict[str, Any] = {"buckets": metric.buckets} if metric.kind == "histogram" else {}
        if metric.kind == "gauge":
            options["multiprocess_mode"] = "sum"
        metric.real = kinds[metric.kind](
            metric.name, metric.help, metric.labels, registry=registry, **options
        )


def _across_children(registry: CollectorRegistry) -> None:
    """Have what is made from now on count in files. The folder is this process's own, and goes with it."""
    _forget_dead()
    folder = tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    atexit.register(_remove, folder, os.getpid())
    values.ValueClass = values.MultiProcessValue(_place)  # type: ignore[no-untyped-call]
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]


def _place() -> str:
    """Of a child its place in the pool, which its successor takes. A pid would leave a file behind with each child."""
    from billiard.process import current_process

    return str(getattr(current_process(), "index", "main"))


def _remove(folder: str, pid: int) -> None:
    """At the end of the main process; not at that of a child."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


def _forget_dead() -> None:
    """Folders of workers of ours that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        pid = folder.name.removeprefix(FOLDER).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)


class _Server(ThreadingTCPServer):
    """A thread per scrape."""

    daemon_threads = True
    allow_reuse_address = True


class _Handler(BaseHTTPRequestHandler):
    """Answers GET /metrics, quietly; who connects and says nothing does not hold it."""

    timeout = SOCKET_SECONDS
    registry: CollectorRegistry

    def do_GET(self) -> None:
        """A scrape."""
        if self.path.split("?")[0] != "/metrics":
            self.send_error(404, "The metrics are at /metrics.")
            return
        encode, kind = choose_encoder(self.headers.get("Accept") or "")
        body = encode(self.registry)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scrape every few seconds is no news."""


def _serve(registry: CollectorRegistry, address: str, port: int) -> int:
    """Answer from a thread, as soon as the port is free. The children of a worker that was killed may hold it for a
    while."""
    handler = type("_Handler", (_Handler,), {"registry": registry})
    server = _bind(handler, address, port)
    if server is None:
        logger.warning("metrics_port_taken", address=address, port=port)
    target = partial(_answer, server, handler, address, port)
    threading.Thread(target=target, name="metrics", daemon=True).start()
    return int(server.server_address[1]) if server else 0


def _answer(server: _Server | None, handler: type[_Handler], address: str, port: int) -> None:
    while server is None:
        time.sleep(BIND_SECONDS)
        server = _bind(handler, address, port)
    server.serve_forever()


def _bind(handler: type[_Handler], address: str, port: int) -> _Server | None:
    try:
        server = _Server((address, port), handler)
    except OSError:
        return None
    os.register_at_fork(after_in_child=server.socket.close)  # the port is the main process's
    return server
