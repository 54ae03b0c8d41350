"""The packages of a Deployment on the scripted data plane (`fake`): a PackageStore in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from packaging.requirements import Requirement

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.packages import PackagesRefused, Resolution
from deployments.domain.code_packages import PackageLock
from deployments.domain.spec import RuntimeSpec


@dataclass
class ScriptedPackages:
    """Each package has the version in `index`, "1.0" when it is not there. Tests set `refuse` (by runtime, "" for
    all), `fail`, and how many calls `slow_resolve` and `slow_install` wait for; `resolved`, `installed` hold what was
    done."""

    index: dict[str, str] = field(default_factory=dict)
    refuse: dict[str, str] = field(default_factory=dict)
    fail: str = ""
    slow_resolve: int = 0
    slow_install: int = 0
    resolved: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    installed: dict[str, PackageLock] = field(default_factory=dict)
    installs: int = 0

    def resolve(self, runtime: RuntimeSpec, requirements: Sequence[str]) -> Resolution:
        self._stumble()
        why = self.refuse.get(runtime.version) or self.refuse.get("")
        if why:
            raise PackagesRefused(why)
        if self.slow_resolve > 0:
            self.slow_resolve -= 1
            return Resolution(None, "Resolving the packages.")
        self.resolved.append((runtime.version, tuple(requirements)))
        names = sorted(Requirement(line).name for line in requirements)
        text = "".join(f"{name}=={self.index.get(name, '1.0')}\n" for name in names)
        return Resolution(PackageLock(runtime.version, text))

    def install(self, lock: PackageLock) -> str:
        if not lock.digest or lock.digest in self.installed:
            return ""
        self._stumble()
        if self.slow_install > 0:
            self.slow_install -= 1
            return "Installing packages."
        self.installs += 1
        self.installed[lock.digest] = lock
        return ""

    def keep(self, digests: frozenset[str]) -> None:
        self.installed = {digest: lock for digest, lock in self.installed.items() if digest in digests}

    def _stumble(self) -> None:
        if self.fail:
            raise DataPlaneError(self.fail)
