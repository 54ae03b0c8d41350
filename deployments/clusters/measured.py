"""A driver whose calls are counted, by cluster, kind and outcome: put around a driver where metrics are wished."""

from typing import Any, cast

from console.kit.metrics import CALLS, timed
from deployments.dataplane.contract import Driver

# Those that speak to the data plane.
METHODS = frozenset(
    "observe apply admit destroy fingerprint logs task_logs task_log inspect tasks reading upkeep".split()
)


class _Measured:
    """A driver whose calls are timed. Everything else of it is the driver's own."""

    def __init__(self, driver: Driver, cluster: str) -> None:
        self._driver, self._cluster = driver, cluster

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if name not in METHODS:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            with timed(CALLS, self._cluster, name):
                return found(*arguments, **options)

        return call


def measured(driver: Driver, cluster: str) -> Driver:
    """The same driver, counted under the cluster's name; itself where nothing counts."""
    return driver if CALLS.real is None else cast(Driver, _Measured(driver, cluster))
