"""How `make test` deals the suite to four pytest processes: the longest first, so that no process sits idle while
another still has a long file before it. Four, because tests of processes mostly wait: with three, two cores were idle
for a sixth of the time.

The tests of data planes that start real Airflows run one after the other in one process, so that the installed
runtimes are shared and two cores are hardly ever asked for more than two Airflows at once. They take as long as all the
rest together, so nothing else that heavy runs beside their first half: the main job, which has a console and Airflows
of its own, comes after the larger files, and the other consoles after it: they are held to seconds, and by then most of
the rest is done. The main job takes about eleven minutes, so as much as three processes do in that time comes after it:
many small files, which fill the end.
"""

import os
import sys

import pytest
from xdist.scheduler import LoadScopeScheduling

# In this order.
AIRFLOW = (
    "deployments/tests/dataplane/local/test_runtimes.py",
    "deployments/tests/dataplane/local/test_contract.py",
    "deployments/tests/dataplane/local/test_airflow.py",
    "deployments/tests/dataplane/local/test_code.py",
    "deployments/tests/dataplane/local/test_warm_airflow.py",
)
MAIN_JOB = (
    "console/tests/system/test_main_job.py",
    "console/tests/system/test_deploy_job.py",  # in the same installation
    "console/tests/system/test_truth.py",
    "console/tests/system/test_alerts_job.py",  # in that, started again
)
CONSOLES = (
    "console/tests/system/test_mailbox.py",
    "console/tests/system/test_up_refusals.py",
    "console/tests/system/test_up.py",
)
FILLING = (
    "cli/",
    "console/tests/api/",
    "deployments/tests/actions/test_deploys.py",
    "deployments/tests/dataplane/postgres/",
    "deployments/tests/domain/test_code",
    "deployments/tests/pages/test_deploys.py",
    "deployments/tests/pages/test_packages.py",
    "deployments/tests/reconciler/test_activation.py",
    "deployments/tests/reconciler/test_deploy",
    "deployments/tests/reconciler/test_images.py",
    "deployments/tests/reconciler/test_packages.py",
    "deployments/tests/dataplane/kubernetes/",
    "workspaces/",
)


def order(items: list[pytest.Item]) -> None:
    """Put AIRFLOW first, then all others as collected, but MAIN_JOB, CONSOLES and FILLING last, in this order."""
    items.sort(key=lambda item: _place(_file(item.nodeid)))


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _place(file: str) -> tuple[int, int]:
    if file in AIRFLOW:
        return 0, AIRFLOW.index(file)
    if file in MAIN_JOB:
        return 2, MAIN_JOB.index(file)
    if file in CONSOLES:
        return 3, CONSOLES.index(file)
    return (4 if file.startswith(FILLING) else 1), 0


class Scheduling(LoadScopeScheduling):
    """Files stay whole, and those of AIRFLOW stay together, as do those of MAIN_JOB."""

    def _split_scope(self, nodeid: str) -> str:
        file = _file(nodeid)
        return "airflow" if file in AIRFLOW else "main job" if file in MAIN_JOB else file


def is_controller() -> bool:
    """Whether this process only hands out tests to workers, so that it needs no servers of its own."""
    asked = any(argument.startswith(("-n", "--numprocesses")) for argument in sys.argv[1:])
    return asked and "PYTEST_XDIST_WORKER" not in os.environ
