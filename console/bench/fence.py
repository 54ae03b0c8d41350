"""What the fence adds to the start of a component."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from console.bench import airflow, warm
from console.bench.result import Figure, Result, each, median
from console.kit.files import write_private
from console.tests.system.installation import Installation

PAIRS = 5
MUST = 1.05

METHOD = (
    f"{PAIRS} pairs in turn on one Healthy Deployment under the Local executor, warm starts: the scheduler is killed, "
    "and the clock stops at the first heartbeat after the one with which its new job began; once as it is, and once "
    "with the fence taken out of its spec file just before."
)


def measure(at: Installation) -> Result:
    """Fenced and not, in turn; the order changes from pair to pair."""
    release = airflow.ensure_healthy(at)
    fenced: list[float] = []
    bare: list[float] = []
    for pair in range(PAIRS):
        for kind in (fenced, bare) if pair % 2 else (bare, fenced):
            time.sleep(warm.SETTLED_SECONDS)
            if kind is fenced:
                kind.append(warm.kill(at, release))
                continue
            with _without_fence(at, release):
                kind.append(warm.kill(at, release))
    airflow.ensure_none(at)
    ratio = median(fenced) / median(bare)
    measured = f"{ratio:.2f} ({median(fenced):.1f} s against {median(bare):.1f} s)"
    figure = Figure(
        "A killed scheduler to its next heartbeat, fenced, against without a fence",
        f"at most {MUST:.2f}",
        measured,
        ratio <= MUST,
    )
    details = (f"Fenced {each(fenced, 's')}, without {each(bare, 's')}.",)
    return Result((figure,), METHOD, details)


@contextmanager
def _without_fence(at: Installation, release: str) -> Iterator[None]:
    """Its next start has none; what is written here is what the driver writes, but for that."""
    file = at.state.deployment(release) / "specs" / "scheduler-1.json"
    before = file.read_text()
    spec = json.loads(before)
    assert spec.pop("fence"), "this machine has no fence to measure"
    write_private(file, json.dumps(spec))
    try:
        yield
    finally:
        write_private(file, before)
