"""The table: on the terminal, and in docs/performance.md between two markers; the rest of that page is ours."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from console.bench.result import Figure, Result
from console.embedded import redis_server
from console.tests.system.installation import Installation

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
HEADER = ("What", "Must reach", "Measured", "")
PACKAGES = ("django", "uvicorn", "celery", "psycopg", "redis", "supervisor")


def table(results: Mapping[str, Result]) -> str:
    """The Markdown table of all figures."""
    lines = [HEADER, ("---",) * 4]
    lines += [_line(figure) for result in results.values() for figure in result.figures]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(figure: Figure) -> tuple[str, str, str, str]:
    return figure.what, figure.must, figure.measured, "ok" if figure.ok else "**missed**"


def circumstances(at: Installation, load: tuple[float, float, float]) -> tuple[str, ...]:
    """Machine, date and versions, a sentence each. `load` at the start shows whether the machine was quiet."""
    with at.database() as database:
        postgres = database.execute("SHOW server_version").fetchone()
        runtimes = database.execute(
            "SELECT DISTINCT airflow_version FROM deployments_runtimerelease r "
            "JOIN deployments_deployment d ON d.runtime_id = r.id"
        ).fetchall()
    redis = redis_server.find_binary()
    message = subprocess.run(
        [str(redis), "--version"], capture_output=True, text=True, check=True
    ).stdout.split()
    memory = psutil.virtual_memory().total / 2**30
    airflow = ", ".join(f"Airflow {row[0]}" for row in runtimes)
    busy = ", ".join(f"{each:.1f}" for each in load)
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; load average at the start {busy}.",
        f"{os.cpu_count()} cores of {_cpu()}, {memory:.0f} GiB of memory, {_system()}.",
        f"Python {platform.python_version()}, {packages}; "
        f"Postgres {postgres[0] if postgres else '?'}, Redis {message[2].removeprefix('v=')}"
        + (f", {airflow}." if airflow else "."),
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        name = platform.system()
    return f"{name}, Linux {platform.release()}" if platform.system() == "Linux" else name


def section(results: Mapping[str, Result], about: tuple[str, ...]) -> str:
    """What stands between the markers."""
    parts = ["## The last run", "\n".join(f"- {line}" for line in about), table(results)]
    for name, result in results.items():
        details = "\n".join(f"- {line}" for line in result.details)
        parts.append(f"### {name}\n\n{result.method}\n\n{details}")
    return "\n\n".join([BEGIN, *parts, END])


def write(results: Mapping[str, Result], about: tuple[str, ...], page: Path = PAGE) -> None:
    """Put the section into the page, in place of the one before. Raises ValueError when its markers are gone."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} lacks the lines {BEGIN} and {END}: put them back where the table belongs.")
    page.write_text(before + section(results, about) + after)
