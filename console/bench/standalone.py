"""The other side of the create row: `airflow standalone` of the same environment, from an empty home."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from console.tests.system.installation import free_port, wait_until
from deployments.dataplane.local.supervisor.specs import base_environment

HEALTH = "/api/v2/monitor/health"
POLL_SECONDS = 0.2
LIMIT_SECONDS = 180.0


def four_healthy(client: httpx.Client, port: int) -> bool:
    """Whether the health JSON calls metadatabase, scheduler, triggerer and DAG processor healthy."""
    try:
        answer = client.get(f"http://127.0.0.1:{port}{HEALTH}")
        health = answer.json()
    except (httpx.HTTPError, json.JSONDecodeError):
        return False
    parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    return answer.status_code == 200 and all(
        (health.get(part) or {}).get("status") == "healthy" for part in parts
    )


def seconds_to_healthy(python: Path) -> float:
    """Start it, wait for four healthy components, end it. `python` is the runtime's interpreter."""
    home = Path(tempfile.mkdtemp(prefix="airdeck-standalone-", dir="/tmp"))
    port = free_port()
    begun = time.monotonic()
    with (home.parent / f"{home.name}.log").open("w+") as log:
        process = subprocess.Popen(
            [str(python), "-m", "airflow", "standalone"],
            cwd=home,
            env=_environment(python, home, port),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            with httpx.Client(timeout=5) as client:
                wait_until(
                    lambda: four_healthy(client, port),
                    LIMIT_SECONDS,
                    lambda: Path(log.name).read_text()[-2000:],
                    POLL_SECONDS,
                )
            return time.monotonic() - begun
        finally:
            _end(process)
            shutil.rmtree(home, ignore_errors=True)
            Path(log.name).unlink()


def _environment(python: Path, home: Path, port: int) -> dict[str, str]:
    """Its defaults, but for free ports (others use this machine too) and what would only make it slower: the
    example DAGs, several API workers (older 3.x), and asking DNS for the machine's full name."""
    base = base_environment()
    return {
        **base,
        "PATH": f"{python.parent}{os.pathsep}{base.get('PATH', os.defpath)}",  # it starts `airflow` from there
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """Its whole session: some of its processes make groups of their own."""
    found = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for each in found:
        with contextlib.suppress(psutil.Error):
            each.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(found, timeout=10)
