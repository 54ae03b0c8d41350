"""Airflow's logs of tasks, kept by the code server of the Deployment, so that they outlive the pods that wrote them.

Airflow 3 has an interface for that: what a task wrote is uploaded when it ends, and read back for its UI. A pod that is
killed for its memory ends before anything is uploaded, so here a log is sent on while it is written, every few seconds;
of a killed pod at most the last of them are lost.

It is copied beside Airflow as it stands, and named in [logging] logging_config_class: only the standard library and
Airflow, 3.1 to 3.3. A code server that is away costs no task more than PATIENCE_SECONDS, and never fails one.
"""

import json
import os
import threading
import time
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib import request
from urllib.error import HTTPError
from urllib.parse import quote

from airflow.config_templates.airflow_local_settings import DEFAULT_LOGGING_CONFIG

SERVER, TOKEN = "AIRDECK_CODE_SERVER", "AIRDECK_CODE_TOKEN"
FOLDER = "AIRFLOW__LOGGING__BASE_LOG_FOLDER"
EVERY_SECONDS = 3.0
PATIENCE_SECONDS = 15.0
PAUSE_SECONDS = 1.0
ANSWER_SECONDS = 10
PART = 4 * 1024 * 1024
READ_BYTES = 32 * 1024 * 1024  # of one log, its end; more would fill the memory of the API server


class ServedLogs:
    """Airflow's RemoteLogIO."""

    def __init__(self, server: str, folder: str) -> None:
        self._server, self._folder = server, folder
        self._sending = Sending(server, Path(folder))

    @property
    def processors(self) -> tuple[Any, ...]:
        """Passes every event on as it is; the first of a log begins its sending."""
        return (self._heard,)

    def _heard(self, logger: Any, _method: str, event: Any) -> Any:
        name = getattr(getattr(logger, "_file", None), "name", None)
        if isinstance(name, str) and name.startswith(f"{self._folder}/"):
            self._sending.begin(name.removeprefix(f"{self._folder}/"))
        return event

    def upload(self, path: os.PathLike[str] | str, _ti: Any = None) -> None:
        """The task has ended: send the rest. What was sent to its end goes from this pod."""
        found = Path(path)
        self._sending.end(str(found.relative_to(self._folder)) if found.is_absolute() else found.as_posix())

    def read(self, relative_path: str, _ti: Any = None) -> tuple[list[str], list[str] | None]:
        """Where the log was found, and the log: of the task, and of its triggers."""
        try:
            with ask("GET", f"{self._server}/logs/{quote(relative_path)}?names") as answer:
                names = list(json.load(answer))
            folder = relative_path.rpartition("/")[0]
            found = [self._read(f"{folder}/{name}" if folder else name) for name in names]
        except (OSError, ValueError) as error:
            return [f"The code server did not hand out its logs: {error}"], None
        sources = [
            f"Kept by the code server: {name}{note}" for name, (note, _) in zip(names, found, strict=True)
        ]
        return sources, [log for _, log in found] or None

    def _read(self, path: str) -> tuple[str, str]:
        with ask("GET", f"{self._server}/logs/{quote(path)}") as answer:
            surplus = int(answer.headers["Content-Length"]) - READ_BYTES
            left = surplus
            while left > 0 and (skipped := answer.read(min(left, PART))):
                left -= len(skipped)
            note = f" (without its first {surplus:,} bytes)" if surplus > 0 else ""
            return note, answer.read(READ_BYTES).decode(errors="replace")


class Sending:
    """Sends logs on while they are written. One thread, and only while there is a log that is not ended: a process that
    forks its next task has none."""

    def __init__(self, server: str, folder: Path) -> None:
        self._server, self._folder = server, folder
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._sent: dict[
            str, tuple[int, int]
        ] = {}  # where the log begins at the server, and what of it was sent
        self._thread: threading.Thread | None = None

    def begin(self, path: str) -> None:
        """Send this log on from now on."""
        if self._pid != os.getpid():
            self._renew()  # in a child, which has none of its parent's threads
        if path in self._sent:
            return
        with self._lock:
            self._sent.setdefault(path, (-1, 0))
            if self._thread is None:
                self._ended = threading.Event()
                self._thread = threading.Thread(target=self._go_on, args=(self._ended,), daemon=True)
                self._thread.start()

    def _go_on(self, ended: threading.Event) -> None:
        while not ended.wait(EVERY_SECONDS):
            for path in list(self._sent):
                with suppress(OSError, ValueError, KeyError), self._lock:
                    self._send(path)

    def end(self, path: str) -> None:
        """Send the rest of it. Never raises: a log that cannot be sent stays in its pod."""
        self.begin(path)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._send_safely(path) and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)
        with self._lock:
            self._sent.pop(path, None)
            last = self._thread if not self._sent else None
            if last is not None:
                self._ended.set()
                self._thread = None
        if last is not None:
            last.join(ANSWER_SECONDS)

    def _send_safely(self, path: str) -> bool:
        """Whether there is nothing more to do."""
        try:
            with self._lock:
                self._send(path)
                (self._folder / path).unlink()
        except FileNotFoundError:
            return True
        except HTTPError as error:
            return error.code in {400, 401, 413}  # trying again does not help
        except (OSError, ValueError, KeyError):
            return False
        return True

    def _send(self, path: str) -> None:
        """What was written since. A task that goes on in another pod, after it was deferred, begins behind what is
        there."""
        begin, sent = self._sent[path]
        url = f"{self._server}/logs/{quote(path)}"
        with (self._folder / path).open("rb") as file:
            if begin < 0:
                begin = _size(url)
                self._sent[path] = (begin, 0)
            file.seek(sent)
            while part := file.read(PART):
                with ask("PUT", f"{url}?from={begin + sent}", part):
                    sent += len(part)
                    self._sent[path] = (begin, sent)


def _size(url: str) -> int:
    """How much of the log the server has."""
    try:
        with ask("GET", url) as answer:
            return int(answer.headers["Content-Length"])
    except HTTPError as error:
        if error.code == 404:
            return 0
        raise


def ask(method: str, url: str, body: bytes | None = None) -> Any:
    """A request with this Deployment's token, past any proxy: the code server is in the same namespace."""
    headers = {"Authorization": f"Bearer {os.environ.get(TOKEN, '')}"}
    opener = request.build_opener(request.ProxyHandler({}))
    asked = request.Request(url, body, headers, method=method)  # noqa: S310 - our own address
    return opener.open(asked, timeout=ANSWER_SECONDS)


LOGGING_CONFIG = deepcopy(DEFAULT_LOGGING_CONFIG)
REMOTE_TASK_LOG = ServedLogs(os.environ[SERVER], os.environ[FOLDER])
