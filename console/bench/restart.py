"""Row 6: the second start, from the start of the process to the first page answered."""

import http.client
import time
from collections.abc import Sequence

from console.bench import airflow
from console.bench.result import Figure, Result, each, median
from console.tests.system.installation import UP, Installation, wait_until

REPEATS = 3
MUST_SECONDS = 10.0
MAKE = ("make", "--no-print-directory", "run")

METHOD = (
    "On the state folder of a console with one Healthy Deployment, after an ordered stop: from the start of the "
    "process until the sign-in page is answered with 200, asked for every 20 ms. {repeats} times "
    "`manage.py up` and once `make run` itself."
)


def measure(at: Installation) -> Result:
    """Stop and start."""
    airflow.ensure_healthy(at)
    direct = [_start_again(at, UP) for _ in range(REPEATS)]
    made = _start_again(at, MAKE)
    worst = max(median(direct), made)
    figure = Figure(
        "Second `make run` to the first page answered",
        f"at most {MUST_SECONDS:.0f} s",
        f"{made:.1f} s (`manage.py up`: median {median(direct):.1f} s)",
        worst <= MUST_SECONDS,
    )
    healthy = airflow.wait_answering(at)
    return Result(
        (figure,),
        METHOD.format(repeats=REPEATS),
        (
            f"`manage.py up` took {each(direct, 's')}, `make run` {made:.1f} s.",
            f"{healthy:.0f} s after the last start was ready, all four components of its Airflow were healthy again.",
        ),
    )


def _start_again(at: Installation, argv: Sequence[str]) -> float:
    at.stop()
    begun = time.monotonic()
    at.spawn(argv)
    wait_until(lambda: _answers(at.port), 60, at.output.read_text, 0.02)
    taken = time.monotonic() - begun
    wait_until(at.printed_ready, 60, at.output.read_text)
    return taken


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/accounts/login/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
