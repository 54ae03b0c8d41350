"""The Celery app of beat alone: it only sends task names on time, so it needs the settings but no Django."""

from typing import Any

from celery import Celery
from celery.beat import Scheduler as CelerysScheduler

from console.kit import heartbeat

app = Celery("airdeck-beat", fixups=[])
app.config_from_object("console.settings", namespace="CELERY")


class Scheduler(CelerysScheduler):
    """Keeps nothing on disk: the schedule is intervals, and all due times follow from the start."""

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Send what is due, and leave a sign of life; seconds until the next tick."""
        heartbeat.beat()
        return float(super().tick(*arguments, **options))
