"""Airflow's DAG bundle of a Deployment on Kubernetes: versions come from its code server, each once for each pod.

What AirdeckBundle does with folders on a disk holds here too; this class fills them. `code` is a volume of the pod's
own: a version that is in it is never asked for again, also when the code server is away. Which version is active the
code server says; when it does not answer, the last known version counts, and a process that never knew one waits,
for "no version" would make Airflow forget every DAG.

Before the first deploy there is no version, and the folder of the image is read.

It is copied beside Airflow and `airdeck_bundle.py` as it stands: only the standard library and Airflow, 3.1 to 3.3.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib import request
from urllib.error import HTTPError

from airdeck_bundle import LOOK_SECONDS, VERSIONS, AirdeckBundle
from airflow.exceptions import AirflowException

MANIFESTS, ACTIVE = "manifests", "active"
PATIENCE_SECONDS = 120.0  # a code server that moves to another node is back by then
PAUSE_SECONDS = 1.0
ANSWER_SECONDS = 60  # the first reading of a large version takes the server a while
PARSE_SECONDS = 8  # a parse that is under way has ended by then
KEPT, IDLE_SECONDS = 5, 86_400  # more versions than that go when nobody began a task of theirs for a day
CHUNK = 1024 * 1024
TOKEN = "AIRDECK_CODE_TOKEN"  # noqa: S105 - the name of a variable
# The last version that this process knew, and since when.
_heard: dict[str, tuple[float, str]] = {}


class ServedBundle(AirdeckBundle):  # type: ignore[misc]
    """`server` is the code server's address; `code` and `folder` are AirdeckBundle's."""

    def __init__(self, *, server: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._server = server

    # -- Which version is active --

    def _current(self) -> str:
        """The active version, as the server says or as was last known in this pod; "" when there is none."""
        return self._known() or ""

    def _known(self) -> str | None:
        """The same; None when none was ever known."""
        at, version = _heard.get(self._server, (0.0, ""))
        if at and time.monotonic() - at < LOOK_SECONDS:
            return version
        try:
            with _ask(f"{self._server}/active", 5) as answer:
                version = str(json.load(answer)["version"])
        except (OSError, ValueError, KeyError):
            return str(version) if at else self._noted()
        _heard[self._server] = (time.monotonic(), version)
        if version != self._noted():
            self._note(version)
        return version

    def _noted(self) -> str | None:
        try:
            return str((self._code / ACTIVE).read_text())
        except OSError:
            return None

    def _note(self, version: str) -> None:
        """For the other processes of this pod, should the server not answer them."""
        with suppress(OSError):
            self._code.mkdir(parents=True, exist_ok=True)
            draft = self._code / f".{ACTIVE}.{os.getpid()}"
            draft.write_text(version)
            draft.replace(self._code / ACTIVE)

    # -- What Airflow calls --

    def initialize(self) -> None:
        """Have the version, or the active one, in this pod."""
        if self.version:
            self._fetch(str(self.version))
        else:
            current = self._wait_until_known()
            if current and not self._seen:
                self._fetch(current)
        super().initialize()

    def _wait_until_known(self) -> str:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (current := self._known()) is None:
            if time.monotonic() > deadline:
                raise AirflowException("The code server does not say which version of the code is active.")
            time.sleep(PAUSE_SECONDS)
        return current

    def _turn_to(self, version: str) -> None:
        self._fetch(version)
        self._freshen(version)
        super()._turn_to(version)

    def _freshen(self, version: str) -> None:
        """What changed is younger than whatever the DAG processor has read or is reading, and what did not keeps its
        time: so the first is parsed at once, and again when a parse that was under way has ended, and the second when
        its interval has passed."""
        try:
            before = Path(os.readlink(self._parsed)).name
            old = {path: rest for path, *rest in self._manifest(before)}
        except (OSError, ValueError):
            return
        folder, soon = self._code / VERSIONS, time.time() + PARSE_SECONDS
        for path, *rest in self._manifest(version):
            same = old.get(path) == rest
            with suppress(OSError):
                at = (folder / before / path).stat().st_mtime if same else soon
                os.utime(folder / version / path, (at, at))

    def _manifest(self, version: str) -> list[list[Any]]:
        return list(json.loads((self._code / MANIFESTS / version).read_text()))

    # -- Having a version --

    def _fetch(self, version: str) -> None:
        """Have the version in this pod, asked for once however many tasks begin. One that is not kept any more stays
        away, and AirdeckBundle says so."""
        place = self._code / VERSIONS / version
        if not place.is_dir():
            with self._alone(version):
                if not place.is_dir():
                    self._fetch_patiently(version, place)
        with suppress(OSError):
            os.utime(place)  # used now

    @contextmanager
    def _alone(self, version: str) -> Iterator[None]:
        for name in (VERSIONS, MANIFESTS):
            (self._code / name).mkdir(parents=True, exist_ok=True)
        with (self._code / f".lock-{version}").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _fetch_patiently(self, version: str, place: Path) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._fetch_once(version, place)
            except HTTPError as error:
                if error.code == 404:
                    return
                problem = f"it answers {error.code}"
            except (OSError, ValueError, tarfile.TarError) as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                return
            if time.monotonic() > deadline:
                raise AirflowException(
                    f"Version {version} of the code cannot be had from the code server: {problem}"
                )
            time.sleep(PAUSE_SECONDS)

    def _fetch_once(self, version: str, place: Path) -> None:
        draft = self._code / f".draft-{version}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            with _ask(f"{self._server}/code/{version}.tar", ANSWER_SECONDS) as answer:
                document = unpack(answer, draft, version)
            (self._code / MANIFESTS / version).write_bytes(document)
            draft.rename(place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self._make_room()

    def _make_room(self) -> None:
        parsed = ""
        with suppress(OSError):
            parsed = Path(os.readlink(self._parsed)).name
        found = sorted((self._code / VERSIONS).iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
        for version in found[KEPT:]:
            if version.name != parsed and time.time() - version.stat().st_mtime > IDLE_SECONDS:
                shutil.rmtree(version, ignore_errors=True)


def _ask(url: str, seconds: float) -> Any:
    """A GET with this Deployment's token, past any proxy: the code server is in the same namespace."""
    headers = {"Authorization": f"Bearer {os.environ.get(TOKEN, '')}"}
    opener = request.build_opener(request.ProxyHandler({}))
    return opener.open(request.Request(url, headers=headers), timeout=seconds)  # noqa: S310 - our own address


def unpack(stream: Any, folder: Path, version: str) -> bytes:
    """Unpack a version into an empty folder: exactly the files of its manifest, each proven by its SHA-256, and the
    manifest by the version's name. The manifest. Raises ValueError for anything else, and OSError."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        head = archive.next()
        content = archive.extractfile(head) if head is not None and head.name == "manifest.json" else None
        document = content.read() if content is not None else b""
        if hashlib.sha256(document).hexdigest()[:12] != version.rpartition("-")[2]:
            raise ValueError("The list of files is not that of this version.")
        for path, sha256, size, executable in json.loads(document):
            entry = archive.next()
            source = archive.extractfile(entry) if entry is not None and entry.isreg() else None
            if source is None or entry is None or entry.name != f"files/{path}" or entry.size != size:
                raise ValueError(f"The file {path} is missing.")
            _write(source, folder, path, sha256)
            (folder / path).chmod(0o555 if executable else 0o444)
    return document


def _write(source: Any, folder: Path, path: str, sha256: str) -> None:
    place = folder / path
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"The path {path} leads out of the version.")
    place.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with place.open("xb") as out:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
    if digest.hexdigest() != sha256:
        raise ValueError(f"The content of {path} is not what was deployed.")
