"""Answers one probe of the kubelet, inside a pod of Airflow: `probe.py job DagProcessorJob` or `probe.py worker`.

Airflow's own check (`airflow jobs check`) imports all of Airflow each time, 4 to 5 s of a core, and by being late
restarts healthy pods. This asks the same question in about 0.1 s. It knows nothing but the pod's environment, and
is copied into the cluster as it stands: only the standard library and what every Airflow image has.

Exit 0: fine. 1: not. With `--lenient` it is also fine when nobody could be asked, so that an outage of the database
or of Redis restarts nothing that works.
"""

import os
import sys
from importlib import import_module

SILENT_SECONDS = 120  # Airflow writes a heartbeat every 5 s
TIMEOUT_SECONDS = 5


def job_beats(job_type: str) -> bool:
    """Whether the job that runs in this pod has sent a heartbeat lately. Raises when the database does not answer."""
    try:
        driver = import_module("psycopg2")
    except ImportError:
        driver = import_module("psycopg")
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("postgresql+psycopg2:", "postgresql:", 1)
    connection = driver.connect(url, connect_timeout=TIMEOUT_SECONDS)
    try:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT count(*) FROM job WHERE job_type = %s AND hostname = %s AND state = 'running' "
            "AND latest_heartbeat > now() - %s * interval '1 second'",
            (job_type, os.environ["POD_IP"], SILENT_SECONDS),
        )
        return bool(cursor.fetchone()[0])
    finally:
        connection.close()


def worker_listens() -> bool:
    """Whether Redis has a connection of this pod's worker. Raises when Redis does not answer."""
    client = import_module("redis").Redis.from_url(
        os.environ["AIRFLOW__CELERY__BROKER_URL"],
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
    )
    own = os.environ["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__CLIENT_NAME"]
    return any(each.get("name") == own for each in client.client_list())


def main(arguments: list[str]) -> int:
    """Answer one probe; the exit code."""
    question, *rest = [argument for argument in arguments if argument != "--lenient"]
    try:
        fine = worker_listens() if question == "worker" else job_beats(*rest)
    except Exception as error:
        # The type alone: a driver's message may hold the URL.
        print(f"Could not ask: {type(error).__name__}", file=sys.stderr)
        return 0 if "--lenient" in arguments else 1
    if not fine:
        print("No heartbeat" if question == "job" else "Not connected to Redis", file=sys.stderr)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
