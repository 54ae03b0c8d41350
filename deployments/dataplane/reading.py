"""What one look at an Airflow's metadata database says of its DAGs, runs, tasks and queues, as plain values. Every
moment is by the clock of that database, aware."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

READING_SECONDS = 1.5  # for all questions of one reading together
HEARTBEAT_SECONDS = 30.0  # Airflow's own threshold: what is older says that the component is gone
RUNS_PER_DAG = 14
FAILED_REPORTED = 200  # failed runs of one reading by name; the counts have all
ERRORS_REPORTED = 50  # files that do not import, of one reading
LONGEST_GAP = timedelta(hours=24)  # failed runs are reported so far back, after a time without readings
LATE = timedelta(
    minutes=5
)  # a run may be seen so long after its end: clocks differ, and a commit comes later
FIRST_LOOK = timedelta(minutes=2)  # and so far where there was no reading before
SCHEDULER, TRIGGERER, DAG_PROCESSOR = "scheduler", "triggerer", "dag-processor"
# The components that send heartbeats, and what Airflow's table `job` calls them.
JOB_TYPES = {SCHEDULER: "SchedulerJob", DAG_PROCESSOR: "DagProcessorJob", TRIGGERER: "TriggererJob"}
UNKNOWN_QUEUE = ""  # the queue of a task that names none


@dataclass(frozen=True)
class Since:
    """What the reading before left for the next one: its moment, by the clock of the metadata database, and how much
    CPU time had been used by then, by process."""

    at: datetime
    cpu: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class QueueReading:
    """Task instances of one queue that are handed to the executor and wait, and that run. `oldest_seconds` is for how
    long the one that waits longest waits; None when none does."""

    name: str
    queued: int
    running: int
    oldest_seconds: float | None = None


@dataclass(frozen=True)
class HourCount:
    """Runs and task instances that ended in the hour that begins at `hour`. Of tasks None where they could not be
    counted in time."""

    hour: datetime
    runs_succeeded: int
    runs_failed: int
    tasks_succeeded: int | None
    tasks_failed: int | None


@dataclass(frozen=True)
class FailedRunReading:
    """One run that failed, with at most three of its failed tasks."""

    dag_id: str
    run_id: str
    run_at: datetime
    started_at: datetime | None
    ended_at: datetime
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class ImportErrorReading:
    """One file that does not import, and the last line of Python's message."""

    file: str
    line: str


@dataclass(frozen=True)
class RunReading:
    """One run of a DAG: `run_at` is from when on it may run."""

    run_id: str
    state: str
    run_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs, and for what never began."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.started_at).total_seconds())


@dataclass(frozen=True)
class DagReading:
    """One DAG that Airflow knows and that is in the code. `runs` are its last ones, newest first."""

    dag_id: str
    name: str
    schedule: str
    schedule_words: str
    paused: bool
    import_error: bool
    file: str
    next_run_at: datetime | None
    runs: tuple[RunReading, ...]


@dataclass(frozen=True)
class Usage:
    """CPU in cores since the reading before, and memory in bytes; None with the reason in `absent`, one sentence.
    `cpu` goes into the next `Since`."""

    cores: float | None = None
    memory_bytes: int | None = None
    absent: str = ""
    cpu: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """One look. `heartbeats` are ages in seconds, by component, of the newest sign of life there ever was; `dags` are
    documents by DAG id, which `dag_of` reads: most are as they were a minute ago, and need not be read.

    `hours` are the present hour and the one before. `runs_succeeded` and `runs_failed` ended since the reading before,
    in the last two minutes at most. `failed_runs` ended since then or shortly before, and may have been reported."""

    at: datetime
    heartbeats: Mapping[str, float]
    queues: tuple[QueueReading, ...]
    scheduled: int
    dags: Mapping[str, str]
    import_error_count: int
    import_errors: tuple[ImportErrorReading, ...]
    runs_running: int
    runs_queued: int
    runs_succeeded: int
    runs_failed: int
    hours: tuple[HourCount, ...]
    failed_runs: tuple[FailedRunReading, ...]
    usage: Usage = Usage()


def beating(heartbeats: Mapping[str, float]) -> frozenset[str]:
    """The components that show signs of life, of ages in seconds as in a `Reading`."""
    return frozenset(component for component, age in heartbeats.items() if age <= HEARTBEAT_SECONDS)


def digest_of(document: str) -> str:
    """A short text that differs when a DAG's document does."""
    return hashlib.blake2b(document.encode(), digest_size=16).hexdigest()


def dag_of(dag_id: str, document: str) -> DagReading:
    """What a document of `Reading.dags` says: a JSON object made by the metadata database, moments as seconds."""
    found = json.loads(document)
    return DagReading(
        dag_id=dag_id,
        name=found["name"] or dag_id,
        schedule=found["schedule"] or "",
        schedule_words=found["words"] or "",
        paused=bool(found["paused"]),
        import_error=bool(found["error"]),
        file=found["file"] or "",
        next_run_at=moment(found["next"]),
        runs=tuple(
            RunReading(run_id, state or "", moment(at) or datetime.now(UTC), moment(began), moment(ended))
            for run_id, state, at, began, ended in found["runs"]
        ),
    )


def document_of(dag: DagReading) -> str:
    """The document that says this, as the metadata database would make it. For data planes that are scripted."""
    return json.dumps(
        {
            "name": dag.name,
            "schedule": dag.schedule,
            "words": dag.schedule_words,
            "paused": dag.paused,
            "error": dag.import_error,
            "file": dag.file,
            "next": _seconds(dag.next_run_at),
            "runs": [
                [run.run_id, run.state, *map(_seconds, (run.run_at, run.started_at, run.ended_at))]
                for run in dag.runs
            ],
        }
    )


def moment(seconds: float | None) -> datetime | None:
    """Seconds since 1970 as an aware moment."""
    return None if seconds is None else datetime.fromtimestamp(float(seconds), UTC)


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
