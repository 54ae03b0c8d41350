"""Starting the command line, whole processes, against an empty Python."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from django.db import connection

from console.bench import airflow, rows
from console.bench.result import Figure, Result, median
from console.tests.system.installation import Installation
from workspaces.actions import tokens
from workspaces.actions.tokens import Scope, TokenWish
from workspaces.models import Membership
from workspaces.permissions import Role

ROUNDS = 15
DEPLOYMENTS = 50
MUST_HELP, MUST_LIST = 6.0, 12.0
SOURCE = Path(__file__).resolve().parents[2] / "cli" / "src"

METHOD = (
    f"`airdeck --help`, `airdeck deployment list` of {DEPLOYMENTS} Deployments in one Workspace, and `python -c pass`, "
    f"in turn, {ROUNDS} times, each a whole process on one Python with its bytecode in place; medians of the time. "
    "The list asks the console once."
)


def measure(at: Installation) -> Result:
    """Time all three in turn."""
    airflow.ensure_none(at)
    workspace, _ = rows.make_workspace(1)
    try:
        rows.make_deployments(workspace, DEPLOYMENTS)
        maker = Membership.objects.select_related("user").filter(workspace=workspace)[0].user
        value = tokens.make(
            scope=Scope(workspace), by=maker, wish=TokenWish("bench", "", Role.MEMBER, 1)
        ).value
        connection.close()
        empty, shown, listed = _times(at.url, value)
    finally:
        rows.remove_deployments()
        connection.close()
    base = median(empty)
    return Result(
        (
            _figure(
                "`airdeck --help`, whole process, against `python -c pass`", median(shown) / base, MUST_HELP
            ),
            _figure("`airdeck deployment list`, the same", median(listed) / base, MUST_LIST),
        ),
        METHOD,
        (f"{base * 1000:.0f} ms, {median(shown) * 1000:.0f} ms and {median(listed) * 1000:.0f} ms.",),
    )


def _figure(what: str, ratio: float, must: float) -> Figure:
    return Figure(what, f"at most {must:.0f} times", f"{ratio:.1f} times", ratio <= must)


def _times(url: str, token: str) -> tuple[list[float], list[float], list[float]]:
    found: tuple[list[float], list[float], list[float]] = ([], [], [])
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "AIRDECK_URL": url,
            "AIRDECK_TOKEN": token,
            "AIRDECK_HOME": home,
        }
        for number in range(ROUNDS + 1):
            for times, arguments in zip(
                found,
                (
                    ("-c", "pass"),
                    ("-m", "airdeck_cli", "--help"),
                    ("-m", "airdeck_cli", "deployment", "list"),
                ),
                strict=True,
            ):
                begun = time.perf_counter()
                subprocess.run(
                    [sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
                )
                if number:  # the first round fills caches
                    times.append(time.perf_counter() - begun)
    return found
