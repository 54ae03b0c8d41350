"""What a data plane does with the code of one Deployment. A part of the driver contract (`base`): the same suite holds
every driver to these docstrings.

Contents are stored by their SHA-256, so equal files are kept once, and equal content is nothing new.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deployments.dataplane.contract import DataPlaneError
from deployments.domain.code_manifest import CodeFile, CodeVersion, Manifest

BUNDLE = "dags-folder"  # its name in Airflow, for ever: what belongs to a name that vanishes is lost
STORE_BYTES = 5 * 1024**3  # of one Deployment's code, all kept versions together
ERRORS_REPORTED = 50  # files that do not import, by name


class CodeDamaged(DataPlaneError):
    """What was stored is gone or is not what it was: trying again does not help. `str()` names the file."""


class CodeFull(DataPlaneError):
    """There is no room for more code. `str()` says whose room, and what to do."""


@dataclass(frozen=True)
class ImportProblem:
    """A file that Airflow could not import, and the last line of why."""

    path: str
    line: str


@dataclass(frozen=True)
class CodeReport:
    """What Airflow itself says of the code. `version` is the one that its DAG processor has read, "" for none; `dags`
    how many DAGs there are in it; `problems` at most ERRORS_REPORTED of `problem_count`; `pinned` every version that an
    unfinished run belongs to."""

    version: str
    dags: int
    problem_count: int
    problems: tuple[ImportProblem, ...]
    pinned: frozenset[str]


class CodeStore(Protocol):
    """The code of one Deployment in its data plane. Every method is bounded as those of the driver are, and raises
    DataPlaneError when it cannot be done now."""

    def scratch(self) -> AbstractContextManager[Path]:
        """A fresh, empty folder for `code_archive.unpack`, near the store. What is left in it goes with the context."""

    def receive(self, scratch: Path, manifest: Manifest) -> None:
        """Keep the contents in `scratch` (files named by their SHA-256) that the manifest names, and the manifest.
        What is there already is not stored again. Afterwards `build` can be called. Raises CodeFull."""

    def read(self, file: CodeFile) -> bytes:
        """The content of a file that was received. Raises CodeDamaged."""

    def folder(self) -> Manifest | None:
        """The content of the folder that DAG files were put into until the first deploy, received: it can be built.
        None when there is nothing in it, or when deploys have taken its place. Raises CodeRefused when it holds more
        than an archive may."""

    def build(self, code: CodeVersion) -> None:
        """Make the version ready to be activated, every content proven by its SHA-256; activates nothing. There already
        is success. Raises CodeDamaged."""

    def active(self) -> str:
        """The name of the active version; "" before the first deploy."""

    def report(self) -> CodeReport:
        """What Airflow says, from its metadata database."""

    def keep(self, manifests: frozenset[str], versions: frozenset[str]) -> None:
        """Drop what belongs to none of these; never what was received within the last hour, nor what is active. The
        caller names in `versions` what unfinished runs are pinned to (`report`)."""
