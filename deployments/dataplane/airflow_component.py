"""Airflow's command line for the components that have a job, with two mends: `component.py scheduler ...` in place of
`airflow scheduler ...`, in Airflow's own environment.

**Heartbeats are written when they are made.** Airflow (3.1 to 3.3) merges the job into its session first and sets the
time of the heartbeat after that, so its database gets each heartbeat with the next one, a whole period late. Its own
health page calls a DAG processor unhealthy whose heartbeat is older than 2.1 periods, so it does so now and then for
one that works; and that a component works shows in the database only after two periods. Here each heartbeat is
written at once, and the first one is due with the first round of the loop.

**Under Celery a scheduler ends only when it owes nothing.** Asked to end, Airflow's scheduler ends wherever it is. A
task that it has queued in its database and not sent to Celery yet is then sent by nobody: the next scheduler adopts
it, keeps one of its slots for it, and waits for Airflow's queued timeout of ten minutes (the Celery provider says so,
in `try_adopt_task_instances`). Few slots may all be held by such tasks, and then nothing runs. Under 3.1 a task that
was sent and not noted down is sent again instead. Here what was begun is finished first, which takes a fraction of a
second.

It is copied into clusters as it stands: only the standard library and Airflow, 3.1 to 3.3.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from typing import Any

MODULE, RUNNER = "airflow.jobs.scheduler_job_runner", "SchedulerJobRunner"


def finishing(runner: type) -> type:
    """The scheduler's class (Airflow's `SchedulerJobRunner`), finishing what it has begun before it ends."""

    class Finishing(runner):  # type: ignore[misc]
        told: tuple[Any, ...] | None = None  # the signal that asked it to end, while that waits
        within = False

        def _exit_gracefully(self, *signal: Any) -> None:
            """Handles SIGTERM and SIGINT. The second one is obeyed at once."""
            if self.told is None and (self.within or self._owes()):
                self.told = signal
            else:
                super()._exit_gracefully(*signal)

        def _owes(self) -> bool:
            """Whether tasks are queued in the database and not sent, or sent and not noted down."""
            holder = self if hasattr(self, "executors") else self.job  # as under 3.1
            return any(executor.queued_tasks or executor.event_buffer for executor in holder.executors)

        def _do_scheduling(self, *arguments: Any, **named: Any) -> Any:
            """The first step of each round; what it queues, the second one sends."""
            if self.told is not None:
                super()._exit_gracefully(*self.told)
            return self._whole(super()._do_scheduling, *arguments, **named)

        def _process_executor_events(self, *arguments: Any, **named: Any) -> Any:
            """The third step, which notes down what was sent."""
            return self._whole(super()._process_executor_events, *arguments, **named)

        def _whole(self, step: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
            self.within = True
            try:
                return step(*arguments, **named)
            finally:
                self.within = False

    # It logs under its name.
    Finishing.__name__, Finishing.__module__ = runner.__name__, runner.__module__
    return Finishing


def prompt(job: type, create_session: Callable[[], Any], away: type[Exception]) -> type:
    """Airflow's class `Job`, whose heartbeats are in the database once they are made. `create_session` is Airflow's,
    `away` what it raises while the database is."""
    prepare, beat = job.prepare_for_execution, job.heartbeat  # type: ignore[attr-defined]

    def prepare_for_execution(self: Any, *arguments: Any, **named: Any) -> None:
        prepare(self, *arguments, **named)
        if (
            self.latest_heartbeat and self.heartrate
        ):  # of this object, not of the row: the first one is due now
            self.latest_heartbeat -= timedelta(seconds=self.heartrate)

    def heartbeat(self: Any, *arguments: Any, **named: Any) -> None:
        beat(self, *arguments, **named)
        if not self.heartbeat_failed:
            with suppress(away), create_session() as session:  # else the next one writes it
                session.merge(self)

    job.prepare_for_execution, job.heartbeat = prepare_for_execution, heartbeat  # type: ignore[attr-defined]
    return job


def main() -> None:
    """Run Airflow's own command line with both."""
    del sys.path[0]  # this file's folder, where others may have the names of modules
    sys.argv[0] = "airflow"
    command_line = import_module("airflow.__main__")  # before all else of Airflow: it reads the configuration
    prompt(
        import_module("airflow.jobs.job").Job,
        import_module("airflow.utils.session").create_session,
        import_module("sqlalchemy.exc").OperationalError,
    )
    if sys.argv[1] == "scheduler" and "Celery" in os.environ.get("AIRFLOW__CORE__EXECUTOR", ""):
        module = import_module(MODULE)
        setattr(module, RUNNER, finishing(getattr(module, RUNNER)))
    command_line.main()


if __name__ == "__main__":
    main()
