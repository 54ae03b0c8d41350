"""The Celery app of beat alone: it only sends task names on time, so it needs the settings but no Django."""

import logging.config
from typing import Any

import structlog
from celery import Celery
from celery.beat import Scheduler as CelerysScheduler
from celery.signals import setup_logging

from console.kit import heartbeat, metrics
from console.starting import load_settings

load_settings()

from console import settings  # noqa: E402 - after it is known to be sound

app = Celery("airdeck-beat", fixups=[])
app.config_from_object("console.settings", namespace="CELERY")


@setup_logging.connect
def _log_as_the_others(**_: Any) -> None:
    """Lines as the settings have them, which Django sets up for the other processes."""
    logging.config.dictConfig(settings.LOGGING)


class Scheduler(CelerysScheduler):
    """Keeps nothing on disk: the schedule is intervals, and all due times follow from the start."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        structlog.get_logger(__name__).info("process_starts", role="beat", version=settings.VERSION)
        if settings.METRICS_PORT:
            from console.kit import metrics_server

            metrics_server.start(
                role="beat",
                version=settings.VERSION,
                address=settings.METRICS_ADDRESS,
                port=settings.METRICS_PORT,
            )

    def _ensure_connected(self) -> Any:
        """Until there is a connection. What waits for Redis lives, and a probe that ended it would make it later."""
        with heartbeat.kept_up():
            return super()._ensure_connected()  # type: ignore[misc]  # celery's types leave it out

    def apply_async(self, entry: Any, *arguments: Any, **options: Any) -> Any:
        """Send one message."""
        sent = super().apply_async(entry, *arguments, **options)
        metrics.SENT.add(entry.task)
        return sent

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Send what is due, and leave a sign of life; seconds until the next tick."""
        heartbeat.beat()
        return float(super().tick(*arguments, **options))
