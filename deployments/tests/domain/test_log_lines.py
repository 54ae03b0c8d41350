"""Which of a program's last lines says why it ended."""

import pytest

from deployments.domain.log_lines import why_ended

READY = "2026-11-22T10:00:00Z [info     ] Starting the scheduler"
OURS = (
    "2026-11-22T10:00:01.5Z [info     ] request finished               [http.access] client_addr=10.0.0.7:4711 "
    "method=GET path=/api/v2/dags/failed status_code=200"
)
UVICORN = 'INFO:     10.0.0.7:4711 - "GET /api/v2/errors?x=1 HTTP/1.1" 500'
TRACE = 'Traceback (most recent call last):\n  File "x.py", line 1'.splitlines()
MODULE = "ModuleNotFoundError: No module named 'pandas'"
ERROR = "sqlalchemy.exc.OperationalError: connection refused"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], ""),
        ([READY], READY),
        ([READY, "Bye"], "Bye"),
        ([READY, *TRACE, ERROR], ERROR),
        ([*TRACE, ERROR, "Bye"], ERROR),
        ([*TRACE, MODULE, "collected 0 errors, exiting"], MODULE),
        ([*TRACE, MODULE, "finished with no failed tasks"], MODULE),
        ([*TRACE, MODULE, "the worker failed to say goodbye"], MODULE),
        (["could not connect: refused", "0 errors"], "could not connect: refused"),
        ([*TRACE, MODULE, "2026-11-22T10:00:01Z [error    ] Boom"], "2026-11-22T10:00:01Z [error    ] Boom"),
        ([*TRACE, MODULE, "FATAL: out of slots"], "FATAL: out of slots"),
        ([MODULE, READY.replace("info     ", "info     ]  0 errors [x")], MODULE),
        ([ERROR, OURS, UVICORN], ERROR),
        ([READY, OURS, UVICORN], READY),
        ([OURS, UVICORN], UVICORN),
        (["ValueError: " + "x" * 2000], "ValueError: " + "x" * 988),
    ],
)
def test_the_last_that_sounds_like_an_error_is_taken_and_no_request(lines, message) -> None:
    assert why_ended(lines) == message


def test_how_it_was_started_is_no_reason_to_have_ended():
    cold = "launch.py: started cold: it ended soon after its last warm start."
    assert why_ended(["Loaded executor: CeleryExecutor", cold]) == "Loaded executor: CeleryExecutor"
    assert why_ended([cold]) == ""
