"""The Celery app: workers run reconcile passes, beat sends the sweep."""

from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_postrun, task_prerun
from django.db import close_old_connections
from django_structlog.celery.steps import DjangoStructLogInitStep

from console.kit import broker, metrics
from console.starting import load_settings

load_settings()
broker.install()
app = Celery("airdeck")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# In workers: the id of the request that asked for a task is in every line that the task logs.
app.steps["worker"].add(DjangoStructLogInitStep)


@setup_logging.connect
def _keep_logging(**_: Any) -> None:
    """Logs are as the settings have them: without a receiver Celery would set the level of all loggers to WARNING."""


@task_prerun.connect
def _check_connection(**_: Any) -> None:
    """The connection to the database is kept from task to task (`CELERY_DB_REUSE_MAX`), and made again when it is old
    or broken, as between the requests of a web process."""
    close_old_connections()


@task_postrun.connect
def _count(task: Any = None, state: str | None = None, **_: Any) -> None:
    """One more task has ended."""
    metrics.TASKS.add(getattr(task, "name", "unknown"), (state or "unknown").lower())
