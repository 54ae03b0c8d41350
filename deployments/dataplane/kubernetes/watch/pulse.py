"""Whether an API server answers at all: one small request every 20 s. While it does not, this is the only one that
asks, so that a dead cluster, or one that rejects our sign-in, is not asked by every feed."""

import random
import threading
import time
from collections.abc import Callable

import structlog

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes.api.client import Api
from deployments.dataplane.kubernetes.api.errors import SignInRefused

logger = structlog.get_logger(__name__)

BEAT_SECONDS = 20.0
LOST_SECONDS = 5.0  # between two tries while it does not answer
REFUSED_SECONDS = 30.0  # while it rejects our sign-in: servers lock out who knocks too often


class Pulse:
    """See the module docstring. Safe between threads."""

    def __init__(self, api: Callable[[], Api]) -> None:
        self._api = api
        self._changed = threading.Condition()
        self._error: DataPlaneError | None = None
        self._stopped = False
        self.watched_at = time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether everything is to end."""
        return self._stopped

    @property
    def error(self) -> str:
        """Why it does not answer; "" while it does."""
        return str(self._error or "")

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopped:
            try:
                self._api().get("/version", "its version")
                self._found()
            except DataPlaneError as error:
                self.lost(error)
            except Exception:
                logger.exception("pulse_failed")
                self.lost(DataPlaneError("Asking the cluster's API server failed."))
            with self._changed:
                if not self._stopped:
                    self._changed.wait(self._rest())

    def lost(self, error: DataPlaneError) -> None:
        """Note that it does not answer, or not us."""
        with self._changed:
            if self._error is None:
                logger.warning("cluster_silent", why=str(error))
            self._error = error

    def wait(self, seconds: float) -> None:
        """Sleep for so long, and then until it answers. An answer after a silence ends every sleep at once."""
        deadline = time.monotonic() + seconds
        with self._changed:
            was_lost = self._error is not None
            while not self._stopped:
                lost = self._error is not None
                if was_lost and not lost:
                    return
                was_lost = lost
                left = deadline - time.monotonic()
                if left <= 0 and not lost:
                    return
                self._changed.wait(None if lost else left)

    def stop(self) -> None:
        """End every wait, and what waits."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _found(self) -> None:
        with self._changed:
            self.watched_at = time.monotonic()
            if self._error is not None:
                self._error = None
                self._changed.notify_all()

    def _rest(self) -> float:
        if self._error is None:
            return BEAT_SECONDS * random.uniform(0.8, 1.0)  # noqa: S311 - spread
        return REFUSED_SECONDS if isinstance(self._error, SignInRefused) else LOST_SECONDS
