"""Row 1: press Create to Healthy recorded, against `airflow standalone` from an empty home."""

from console.bench import airflow, standalone
from console.bench.airflow import Created
from console.bench.result import Figure, Result, each, median
from console.tests.system.installation import Installation
from deployments.dataplane.local.runtimes import runtimes

REPEATS = 3
MUST = 0.30
MUST_COLD_PARENT = 0.65

METHOD = (
    "The runtime is installed and its template database migrated by a first Deployment, which is deleted again. "
    "Then, {repeats} times in turn: `airflow standalone` of that same environment with an empty AIRFLOW_HOME "
    "(SQLite, no example DAGs, one API worker), from the start of the process until "
    "`/api/v2/monitor/health` calls metadatabase, scheduler, triggerer and DAG processor healthy; and a create "
    "form posted over HTTP to a console started by `manage.py up`, from the request until `first_healthy_at` in "
    "the row: once with the warm parent running, as after any other creation, and once after it was ended. All are "
    "asked for their health every 0.2 s. The console runs all the time, without a Deployment during the first. "
    "Medians."
)


def measure(at: Installation) -> Result:
    """Both sides in turn."""
    version = _runtime(at, airflow.ensure_healthy(at))
    airflow.ensure_none(at)
    python = runtimes.python(at.state, version)
    alone: list[float] = []
    ours: list[Created] = []
    without: list[Created] = []
    for _ in range(REPEATS):
        alone.append(standalone.seconds_to_healthy(python))
        ours.append(airflow.create(at))
        airflow.ensure_none(at)
        airflow.end_parent(at)
        without.append(airflow.create(at))
        airflow.ensure_none(at)
    figures = (
        _figure("runtime installed, parent warm", ours, alone, MUST),
        _figure("the same with a cold parent", without, alone, MUST_COLD_PARENT),
    )
    return Result(figures, METHOD.format(repeats=REPEATS), _details(alone, ours, without))


def _figure(how: str, ours: list[Created], alone: list[float], must: float) -> Figure:
    taken = median([one.recorded for one in ours])
    ratio = taken / median(alone)
    return Figure(
        f"Press Create to Healthy recorded, Local executor, {how}, against `airflow standalone` "
        "from an empty home to four healthy",
        f"at most {must:.2f}",
        f"{ratio:.2f} ({taken:.1f} s against {median(alone):.1f} s)",
        ratio <= must,
    )


def _runtime(at: Installation, release: str) -> str:
    with at.database() as database:
        row = database.execute(
            "SELECT r.version FROM deployments_runtimerelease r JOIN deployments_deployment d "
            "ON d.runtime_id = r.id WHERE d.release_name = %s",
            [release],
        ).fetchone()
    assert row is not None
    return str(row[0])


def _details(alone: list[float], ours: list[Created], without: list[Created]) -> tuple[str, ...]:
    """Where the time goes, in the repetition that took the median time."""
    middle = sorted(ours, key=lambda one: one.recorded)[len(ours) // 2]
    steps = ", ".join(f"{title} {done - begun:.1f} s" for title, (begun, done) in middle.steps.items())
    first = min(begun for begun, _ in middle.steps.values())
    spread = (
        f"Standalone took {each(alone, 's')}; Create to Healthy {each([o.recorded for o in ours], 's')}, "
    )
    spread += f"with a cold parent {each([o.recorded for o in without], 's')}."
    return (
        spread,
        f"Where the median creation's {middle.recorded:.1f} s went: {first:.1f} s until the first step was "
        f"recorded, then {steps}.",
        f"Airflow's own health JSON called all four healthy {middle.answered:.1f} s after the press; what is "
        f"recorded waits also for each heartbeat to have advanced once "
        f"({middle.recorded - middle.answered:+.1f} s).",
    )
