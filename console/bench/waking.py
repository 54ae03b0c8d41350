"""Waking from hibernation, against the creation of the same Deployment."""

from console.bench import airflow
from console.bench.result import Figure, Result, each, median
from console.tests.system.installation import Installation

REPEATS = 7  # single ones differ by a tenth, more than the two sides do
MUST_RATIO = 1.0

METHOD = (
    f"Under the Local executor, {REPEATS} times, each with a Deployment of its own and the runtime's environment and "
    "template database there already. Creation: from the press of Create Deployment until the row says Healthy for "
    "the first time. Then it is put to sleep; once it is Hibernating, from the press of Wake up until the row says "
    "Healthy, applied as that generation. Then it is deleted."
)


def measure(at: Installation) -> Result:
    """Create, sleep, wake, delete."""
    airflow.ensure_healthy(at)  # whatever is made once per runtime is made
    created, slept, woken = [], [], []
    for _ in range(REPEATS):
        airflow.ensure_none(at)
        made = airflow.create(at)
        created.append(made.recorded)
        slept.append(airflow.press_sleep_or_wake(at, made.release_name, "hibernating"))
        woken.append(airflow.press_sleep_or_wake(at, made.release_name, "healthy"))
    ratio = median(woken) / median(created)
    figure = Figure(
        "Wake from hibernation to Healthy, against the first creation",
        f"at most {MUST_RATIO:.1f} times",
        f"{ratio:.2f} times ({median(woken):.1f} s against {median(created):.1f} s)",
        ratio <= MUST_RATIO,
    )
    details = (
        f"Creations took {each(created, 's')}, wakes {each(woken, 's')}.",
        f"Stopping took {each(slept, 's')}.",
    )
    return Result((figure,), METHOD, details)
