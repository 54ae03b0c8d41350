"""What a data plane does with the packages of a Deployment, beyond those of its runtime. A part of the driver contract,
as `code` is: every method is bounded as those of the driver are, and raises DataPlaneError when it cannot be done now.
Long work runs in the data plane and is waited for over several calls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from deployments.dataplane.contract import DataPlaneError
from deployments.domain.code_packages import PackageLock
from deployments.domain.spec import RuntimeSpec


class PackagesRefused(DataPlaneError):
    """These requirements cannot be met on this runtime, and trying again does not help. `str()` says which two
    disagree, or what is wrong with which package."""


@dataclass(frozen=True)
class Resolution:
    """How far the work of finding out is: `lock` once it is done, until then what is waited for, in a sentence."""

    lock: PackageLock | None
    waiting: str = ""


class PackageStore(Protocol):
    """The packages of one Deployment in its data plane."""

    def resolve(self, runtime: RuntimeSpec, requirements: Sequence[str]) -> Resolution:
        """The packages to which these lines (plain PEP 508, `code_requirements`) come on this runtime, whose own
        packages stay as they are; from wheels alone. Begins the work when it is not done; however often asked for, it
        runs once. Changes nothing that runs. Raises PackagesRefused."""

    def install(self, lock: PackageLock) -> str:
        """Make ready what `apply` needs for a Release with the packages of this lock, and keep it until `keep` names it
        no more; "" once it is, until then what is waited for, in a sentence. There already is success. Changes nothing
        that runs. For a lock without packages there is nothing to do."""

    def keep(self, digests: frozenset[str]) -> None:
        """Drop what belongs to none of these (`PackageLock.digest`), unless another Deployment needs it or something
        runs in it."""
