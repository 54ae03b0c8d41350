"""What was read of a Deployment's Airflow: the last reading, its DAGs, failed runs, and figures by minute and by hour.
Written by `reconciler.readings` alone (docs/adr/0031)."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from deployments.models.deployment import Deployment

MINUTES_KEPT = 2880  # 48 hours
HOURS_KEPT = timedelta(days=366)
FAILED_RUNS_KEPT = timedelta(days=30)
FRESH_FOR = timedelta(minutes=5)  # an older reading says how it was, not how it is


class LatestReading(models.Model):
    """When a Deployment was last read, what was found, and when it is read next. One row from its first reading on.

    `at` is by the clock of the console's database, `read_to` by that of the metadata database. What is None was not
    measured; `usage_absent` says why there is no CPU and memory."""

    deployment = models.OneToOneField(
        Deployment, on_delete=models.CASCADE, primary_key=True, related_name="reading"
    )
    # The reader's own: when to read next, and which attempt is the last. `tried_at` fences what an attempt writes.
    due_at = models.DateTimeField(db_default=Now())
    tried_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=1000, blank=True)  # why the last attempt found nothing

    at = models.DateTimeField(null=True)
    read_to = models.DateTimeField(null=True)
    cpu_sample = models.JSONField(default=dict)  # CPU seconds by process, for the next reading

    dags = models.PositiveIntegerField(default=0)
    dags_paused = models.PositiveIntegerField(default=0)
    import_error_count = models.PositiveIntegerField(default=0)
    import_errors = models.JSONField(default=list)  # file and line of at most 50
    runs_running = models.PositiveIntegerField(default=0)
    runs_queued = models.PositiveIntegerField(default=0)
    tasks_running = models.PositiveIntegerField(default=0)
    tasks_queued = models.PositiveIntegerField(default=0)
    tasks_scheduled = models.PositiveIntegerField(default=0)  # due, and not handed to the executor yet
    queues = models.JSONField(default=list)  # name, queued, running, oldest_seconds (null: none waits)
    lost_queues = models.JSONField(
        default=list
    )  # names of queues in which tasks wait and that no worker serves
    heartbeats = models.JSONField(default=dict)  # age in seconds at `at`, by component
    # Of its newest heartbeat, by the console's clock. The column has the name that version 0.1.0 began with.
    scheduler_heartbeat_at = models.DateTimeField(null=True, db_column="scheduler_heard_at")
    workers = models.PositiveSmallIntegerField(null=True)  # Celery workers that were there at `at`
    cpu_millis = models.PositiveIntegerField(null=True)  # thousandths of a core, since the reading before
    memory_mib = models.PositiveIntegerField(null=True)
    usage_absent = models.CharField(max_length=500, blank=True)
    # The last 24 hours that have a reading, oldest first: hour (ISO), succeeded, failed runs. For rows of lists.
    day = models.JSONField(default=list)

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="reading_due")]

    def __str__(self) -> str:
        return f"reading of {self.deployment_id}"

    @property
    def age(self) -> timedelta | None:
        """How old it is; None before the first."""
        return None if self.at is None else timezone.now() - self.at

    @property
    def is_fresh(self) -> bool:
        """Whether it says how things are now."""
        return self.age is not None and self.age <= FRESH_FOR

    @property
    def scheduler_silence(self) -> timedelta | None:
        """How old the newest heartbeat of a scheduler was at the reading; None where none is known."""
        return self.at - self.scheduler_heartbeat_at if self.at and self.scheduler_heartbeat_at else None


class Dag(models.Model):
    """One DAG of a Deployment, as last read. A DAG that is no longer in the code has no row."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="dags")
    dag_id = models.CharField(max_length=250)
    name = models.CharField(max_length=250)  # as its author wants it shown
    schedule = models.CharField(max_length=200, blank=True)  # "0 4 * * *", "@daily", "" for none
    schedule_words = models.CharField(max_length=500, blank=True)  # as Airflow puts it: "At 04:00 AM"
    file = models.CharField(max_length=500, blank=True)
    paused = models.BooleanField(default=False)
    import_error = models.BooleanField(
        default=False
    )  # its file does not import: what runs is what it was before
    next_run_at = models.DateTimeField(null=True)
    last_run_id = models.CharField(max_length=250, blank=True)
    last_state = models.CharField(
        max_length=20, blank=True
    )  # queued, running, success, failed; "" before the first
    last_run_at = models.DateTimeField(null=True)  # from when on it may run
    last_started_at = models.DateTimeField(null=True)
    last_ended_at = models.DateTimeField(null=True)
    last_seconds = models.FloatField(null=True)
    last_success_at = models.DateTimeField(
        null=True
    )  # the end of the newest that succeeded, as far as it is known
    runs = models.JSONField(default=list)  # at most 14, oldest first: id, state, at (ISO), seconds
    first_seen_at = models.DateTimeField(
        db_default=Now()
    )  # or when it was last unpaused: since then it is to run
    digest = models.CharField(max_length=32)  # of the document of which this row was made

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["deployment", "dag_id"], name="dag_once_per_deployment")
        ]

    def __str__(self) -> str:
        return f"{self.dag_id} of {self.deployment_id}"


class FailedRun(models.Model):
    """One run that failed. There is one row for each time it ended so, however often and by whom it was read; a run
    that is cleared and fails again is a further one. `id` grows in the order in which they were found."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="failed_runs")
    dag_id = models.CharField(max_length=250)
    run_id = models.CharField(max_length=250)
    tasks = models.JSONField(default=list)  # at most three task ids that failed
    run_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "dag_id", "run_id", "ended_at"], name="failed_run_once"
            )
        ]
        indexes = [
            models.Index(fields=["deployment", "-ended_at"], name="failed_run_recent"),
            models.Index(fields=["seen_at"], name="failed_run_seen"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} of {self.dag_id}"


class Figures(models.Model):
    """What both kinds of figures have. Runs and tasks are those that ended in that time."""

    runs_succeeded = models.PositiveIntegerField()
    runs_failed = models.PositiveIntegerField()
    queued = models.PositiveIntegerField()
    running = models.PositiveIntegerField()
    workers = models.PositiveSmallIntegerField(null=True)
    cpu_millis = models.PositiveIntegerField(null=True)
    memory_mib = models.PositiveIntegerField(null=True)

    class Meta:
        abstract = True


class HourlyFigures(Figures):
    """One hour of a Deployment, kept for a year. Of task instances, workers, CPU and memory the highest that a reading
    of the hour saw. An hour without a reading has no row."""

    pk = models.CompositePrimaryKey("deployment_id", "hour")
    deployment = models.ForeignKey(
        Deployment, on_delete=models.CASCADE, related_name="hourly_figures", db_index=False
    )
    hour = models.DateTimeField()
    tasks_succeeded = models.PositiveIntegerField(null=True)
    tasks_failed = models.PositiveIntegerField(null=True)
    readings = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"{self.deployment_id} at {self.hour:%Y-%m-%d %H}:00"


class MinuteFigures(Figures):
    """One reading of a Deployment, kept for 48 hours: `slot` is the minute's place among 2,880, and whatever comes two
    days later takes it over. Readers go by `at`. Runs are those that ended since the reading before."""

    pk = models.CompositePrimaryKey("deployment_id", "slot")
    deployment = models.ForeignKey(
        Deployment, on_delete=models.CASCADE, related_name="minute_figures", db_index=False
    )
    slot = models.PositiveSmallIntegerField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.deployment_id} at {self.at:%Y-%m-%d %H:%M}"


def slot_of(at: datetime) -> int:
    """The place of a minute."""
    return int(at.timestamp()) // 60 % MINUTES_KEPT
