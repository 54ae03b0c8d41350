"""How `make test` deals the suite to two pytest processes.

What starts real Airflows or whole consoles runs one after the other in one process, so that two cores are never
asked for two Airflows at once and the installed runtimes are shared; everything else runs beside it, file by file.
The tests that hold the console to seconds come last: by then the other process has finished.
"""

import os
import sys

import pytest
from xdist.scheduler import LoadScopeScheduling

# In this order.
MACHINE = (
    "deployments/tests/test_local_runtime.py",
    "deployments/tests/test_contract_local.py",
    "deployments/tests/test_local_airflow.py",
    "console/tests/test_outbox.py",
    "console/tests/test_up_refusals.py",
    "console/tests/test_up.py",
    "console/tests/test_main_job.py",
)


def order(items: list[pytest.Item]) -> None:
    """Put those of MACHINE first, in their order; the others stay as collected."""
    items.sort(key=lambda item: _place(item.nodeid))


def _place(nodeid: str) -> int:
    file = nodeid.partition("::")[0]
    return MACHINE.index(file) if file in MACHINE else len(MACHINE)


class Scheduling(LoadScopeScheduling):
    """Files stay whole, and those of MACHINE stay together."""

    def _split_scope(self, nodeid: str) -> str:
        return "machine" if _place(nodeid) < len(MACHINE) else nodeid.partition("::")[0]


def is_controller() -> bool:
    """Whether this process only hands out tests to workers, so that it needs no servers of its own."""
    asked = any(argument.startswith(("-n", "--numprocesses")) for argument in sys.argv[1:])
    return asked and "PYTEST_XDIST_WORKER" not in os.environ
