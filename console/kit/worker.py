"""How a worker of ours consumes: as Celery's does, with a sign of life (`heartbeat`)."""

from typing import Any

from celery import bootsteps
from celery.worker.consumer import Consumer as CeleryConsumer

from console.kit import heartbeat


class SignOfLife(bootsteps.StartStopStep):
    """Beats from the loop that takes tasks, so that a loop which hangs is seen."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """At every connection: Celery forgets its timers when it loses one."""
        heartbeat.beat()
        parent.timer.call_repeatedly(heartbeat.EVERY_SECONDS, heartbeat.beat)


class Consumer(CeleryConsumer):
    """Celery's consumer; while the broker is away it waits, alive."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Here, and not where the app is made: a web process makes one too, and never consumes.
        options["app"].steps["consumer"].add(SignOfLife)
        super().__init__(*arguments, **options)

    def ensure_connected(self, conn: Any) -> Any:
        """Until there is a connection."""
        with heartbeat.kept_up():
            return super().ensure_connected(conn)
