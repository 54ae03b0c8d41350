"""`manage.py observe`: the observer process."""

import signal
import threading
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import OperationalError, close_old_connections

from console.kit import heartbeat
from deployments.reconciler.observer import run_forever

logger = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Watch every cluster and make rows due when something of them changed."""

    help = "Watch every cluster and make Deployments due when something of them changed."

    def handle(self, *args: Any, **options: Any) -> None:
        """Until SIGTERM. A database that is away is waited for; anything else ends the process, and its
        parent starts it again."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            try:
                run_forever(stop)
            except OperationalError as error:
                logger.warning("database_away", error=type(error).__name__)
                close_old_connections()
                heartbeat.beat()  # it waits, alive
                stop.wait(1.0)
