"""Row "packages": another environment with many further packages, once uv has all of them in its cache."""

import os
import time

from console.bench import airflow
from console.bench.result import Figure, Result
from console.tests.system.installation import Installation, wait_until
from deployments.dataplane.local.packages.clone import bytes_of_its_own
from deployments.dataplane.local.packages.store import LocalPackages
from deployments.dataplane.local.runtimes import runtimes
from deployments.domain.code_packages import PackageLock
from deployments.domain.spec import RuntimeSpec

MUST_SECONDS, MUST_MB = 10.0, 40.0
LEAST = 22
LIMIT_SECONDS = 600.0
SET = (
    *(
        "beautifulsoup4",
        "duckdb",
        "matplotlib",
        "openpyxl",
        "pandas",
        "plotly",
        "polars",
        "scikit-learn",
        "xlsxwriter",
    ),
    *("xgboost-cpu", "faker", "nltk", "sympy", "shapely", "geopandas"),
)
FIRST, OTHER = "humanize", "inflection"
METHOD = (
    "On a machine where a runtime is installed, `requirements.txt` files of fifteen much used packages and one more "
    "are resolved and installed for a Deployment, as a pass would: first with the one and with another, so that uv "
    "has everything in its cache; then with both. Counted is the last: from the question to the environment in its "
    "place, proven by importing Airflow; and the bytes on disk that it shares with nothing."
)


def measure(at: Installation) -> Result:
    """Three environments; the last counts."""
    release = airflow.ensure_healthy(at)
    store = LocalPackages(at.state, at.supervisor, release, dict(os.environ))
    runtime = _runtime(at, release)
    first = time.monotonic()
    _make(store, runtime, (*SET, FIRST))
    first = time.monotonic() - first
    _make(store, runtime, (*SET, OTHER))
    begun = time.monotonic()
    lock = _make(store, runtime, (*SET, FIRST, OTHER))
    taken = time.monotonic() - begun
    folder = at.state.runtime(runtimes.environment(runtime.version, lock.digest))
    megabytes = bytes_of_its_own(folder) / 1e6
    count = len(lock.packages)
    return Result(
        (
            Figure(
                f"Another environment with {count} further packages, caches warm",
                f"at most {MUST_SECONDS:.0f} s, of at least {LEAST} packages",
                f"{taken:.1f} s",
                taken <= MUST_SECONDS and count >= LEAST,
            ),
            Figure(
                "The same: disk of its own",
                f"at most {MUST_MB:.0f} MB",
                f"{megabytes:.0f} MB",
                megabytes <= MUST_MB,
            ),
        ),
        METHOD,
        (f"The first one, with downloads, took {first:.0f} s.",),
    )


def _make(store: LocalPackages, runtime: RuntimeSpec, lines: tuple[str, ...]) -> PackageLock:
    found: list[PackageLock] = []

    def resolved() -> bool:
        lock = store.resolve(runtime, lines).lock
        found.extend([lock] if lock is not None else [])
        return bool(found)

    wait_until(resolved, LIMIT_SECONDS)
    wait_until(lambda: not store.install(found[0]), LIMIT_SECONDS)
    return found[0]


def _runtime(at: Installation, release: str) -> RuntimeSpec:
    with at.database() as database:
        row = database.execute(
            "SELECT r.version, r.airflow_version FROM deployments_runtimerelease r "
            "JOIN deployments_deployment d ON d.runtime_id = r.id WHERE d.release_name = %s",
            [release],
        ).fetchone()
    assert row is not None
    return RuntimeSpec(str(row[0]), str(row[1]))
