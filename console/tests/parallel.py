"""How `make test` deals the suite to two pytest processes.

What starts real Airflows or whole consoles runs one after the other in one process, so that two cores are never
asked for two Airflows at once and the installed runtimes are shared; everything else runs beside it, file by file.
The tests that hold the console to seconds come last: by then the other process has finished.
"""

import os
import sys
from pathlib import Path

import pytest

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
ROOT = Path(__file__).resolve().parents[2]


def deal(items: list[pytest.Item]) -> None:
    """Order the tests, and mark which ones stay together."""
    places = {name: index for index, name in enumerate(MACHINE)}

    def file(item: pytest.Item) -> str:
        return str(item.path.relative_to(ROOT))

    items.sort(key=lambda item: places.get(file(item), len(MACHINE)))  # stable: otherwise as collected
    for item in items:
        item.add_marker(pytest.mark.xdist_group("machine" if file(item) in places else file(item)))


def is_controller() -> bool:
    """Whether this process only hands out tests to workers, so that it needs no servers of its own."""
    asked = any(argument.startswith(("-n", "--numprocesses")) for argument in sys.argv[1:])
    return asked and "PYTEST_XDIST_WORKER" not in os.environ
