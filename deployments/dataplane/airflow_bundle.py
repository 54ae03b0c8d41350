"""Airflow's DAG bundle of a Deployment: the code of its deploys, each version a folder, and the folder of before.

Airflow names a version when it creates a run, and asks for that version again whenever a task of it starts: so a run
keeps its code, whatever is deployed meanwhile. The name of the bundle is `dags-folder` for ever, because Airflow
forgets what belongs to a name that vanishes.

Until the first deploy there is no `current`, and the bundle is what Airflow's own LocalDagBundle is: a folder without
versions. The first deploy changes that under a DAG processor that runs, which restarts nothing; see
`supports_versioning`.

It is copied beside Airflow as it stands: only the standard library and Airflow, 3.1 to 3.3.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles import base

VERSIONS, CURRENT = "versions", "current"
LOOK_SECONDS = (
    2  # a look at `current` costs one system call; the folder is listed as often as Airflow is told to
)


class AirdeckBundle(base.BaseDagBundle):  # type: ignore[misc]
    """`code` holds versions/NAME for each version, and `current`, a link to the one that is active; Airflow need not be
    allowed to write there. `folder` is where DAG files go until there is a `current`. `parsed` is the DAG processor's
    own link, in a folder of Airflow's; by default in `code`."""

    def __init__(self, *, code: str, folder: str, parsed: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._code, self._folder = Path(code), Path(folder)
        self._parsed = Path(parsed) if parsed else self._code / "parsed"
        self._seen = ""  # the version that the DAG processor turned to
        self._in_folder = False  # the DAG processor has looked, and there was none
        self._versioned = self._answered = False

    @property
    def supports_versioning(self) -> bool:
        """Whether there are versions. The DAG processor asks before `refresh` and again after it, and must hear the
        same both times: what it notes down the first time it needs the second time."""
        if self._answered:
            self._answered = False
        else:
            self._versioned = bool(self.version) or bool(self._current())
        return self._versioned

    def _current(self) -> str:
        """The name of the active version; "" before the first deploy."""
        try:
            return Path(os.readlink(self._code / CURRENT)).name
        except OSError:
            return ""

    def initialize(self) -> None:
        """For a task of a version that is not kept any more, say so."""
        if self.version and not self.path.is_dir():
            raise FileNotFoundError(
                f"Version {self.version} of the code is not kept any more. Clear the task with the latest code, or "
                "start a new run."
            )
        if self.version:
            self._let_import(self._code / VERSIONS / str(self.version))
        super().initialize()

    def refresh(self) -> None:
        """Turn to the active version. Only the DAG processor calls this."""
        if self._versioned:
            self.refresh_interval: int = min(self.refresh_interval, LOOK_SECONDS)
            current = self._current()
            if current and current != self._seen:
                self._turn_to(current)
        else:
            self._in_folder = True
        self._answered = True

    def _dags(self, version: Path) -> Path:
        """A project's DAGs are in its folder dags: there is one, and no Python file beside it."""
        with suppress(OSError):
            names = os.listdir(version)
            if "dags" in names and not any(name.endswith(".py") for name in names):
                return version / "dags"
        return version

    def _let_import(self, version: Path) -> None:
        """What is beside a project's DAGs is imported from the project: `include.words`."""
        if self._dags(version) != version and str(version) not in sys.path:
            sys.path.append(str(version))

    def _turn_to(self, version: str) -> None:
        """What waits to be parsed is known by its path, so the DAG processor's path stays the same, and never holds
        files of two versions: a link of its own, which moves here and not whenever somebody deploys."""
        draft = self._parsed.with_name(f".{self._parsed.name}.{os.getpid()}")
        with suppress(FileNotFoundError):
            draft.unlink()
        draft.symlink_to(self._code / VERSIONS / version)
        draft.replace(self._parsed)
        self._seen = version
        self._let_import(self._parsed)  # whatever parses a file is forked from this process

    def get_current_version(self) -> Any:
        """That of the files at `path`; None as long as there is none, also where the first deploy is active and the DAG
        processor has not turned to it: it looks for what differs after `refresh`."""
        version = self.version or self._seen or ("" if self._in_folder else self._current())
        # Airflow 3.3 has a class for it, and warns of plain text.
        named = getattr(base, "BundleVersion", None)
        return named(version) if named and version else version or None

    @property
    def path(self) -> Path:
        """Where the files are; also for those who only look, without `initialize`."""
        if self.version:
            return self._dags(self._code / VERSIONS / str(self.version))
        if self._seen:
            return self._dags(self._parsed)
        current = self._current()
        return self._dags(self._code / VERSIONS / current) if current else self._folder
