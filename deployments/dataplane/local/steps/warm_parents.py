"""The driver's side: a warm parent per environment, which is a runtime or one with further packages. It is a program of
supervisord, started when a program needs it.

It ends by itself when nothing that was forked from it has lived for IDLE_SECONDS, and with everything else when
`manage.py up` stops. Nothing waits for it here: a program that asks it waits as long as it is worth it (`warm/ask.py`).
"""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

from console.kit.files import write_private
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local import warm
from deployments.dataplane.local.environment import AIRFLOW_CFG, default_variables
from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import SupervisedProgram, Supervisor, render_group
from deployments.dataplane.local.supervisor.processes import may_start
from deployments.dataplane.local.supervisor.specs import (
    STATE_TAG,
    Spec,
    base_environment,
    launch_argv,
    started_file,
    write_spec,
)
from deployments.dataplane.local.warm.names import ROOM

IDLE_SECONDS = 600
FIRST = 50  # before every Deployment's groups
PARENT = Path(warm.__file__).with_name("parent.py")
PROGRAM = "parent"
# As every Deployment has it unless its variables say otherwise, so that what is read at import is mostly the same.
UNPRIVILEGED = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://nobody@/nothing",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "SPT_NOENV": "1",
}


def group(version: str) -> str:
    """The parent's supervisord group."""
    return f"warm-{version}"


def contact(paths: StateDir, version: str) -> dict[str, str]:
    """What a spec says of its parent: file names."""
    folder = paths.warm
    return {
        "socket": str(folder / f"{version}.sock"),
        "proof": str(folder / f"{version}.proof"),
        "ready": str(folder / f"{version}.ready"),
        "started": str(started_file(_spec_file(paths, version))),
    }


@dataclass(frozen=True)
class WarmStarts:
    """The warm parents of one data plane. Holds nothing in memory that matters: supervisord and files are the truth.

    `enabled` is what WARM_STARTS says; without Linux there are none, for forked processes are named and adopted by its
    means.
    """

    paths: StateDir
    supervisor: Supervisor
    enabled: bool

    @property
    def on(self) -> bool:
        """Whether programs are started warm at all."""
        return self.enabled and sys.platform == "linux"

    def contact(self, version: str) -> dict[str, str] | None:
        """What the specs of a runtime's programs say of its parent; None when they start cold."""
        return (
            contact(self.paths, version)
            if self.on and not runtimes.starts_cold(self.paths, version)
            else None
        )

    def ensure(self, version: str) -> None:
        """Start the runtime's parent unless it runs or the runtime is not installed yet. One that cannot be started
        is no failure: everything starts cold then."""
        if self.contact(version) is None or not runtimes.installed(self.paths, version):
            return
        name = f"{group(version)}:{PROGRAM}"
        with contextlib.suppress(DataPlaneError):
            known = [p for p in self.supervisor.processes() if p.full_name == name]
            if known and not may_start(known[0], changed=False):
                return
            self._write(version)
            self.supervisor.reload_and_add(group(version))
            self.supervisor.start(name)

    def _write(self, version: str) -> None:
        home, spec_file = self.paths.runtime(version) / "warm-home", _spec_file(self.paths, version)
        write_private(
            home / "airflow.cfg", AIRFLOW_CFG
        )  # a file that is there keeps Airflow from writing one
        for folder in ("user", "tmp"):
            (home / folder).mkdir(mode=0o700, exist_ok=True)
        write_spec(spec_file, parent_spec(self.paths, version, home))
        self.paths.warm.mkdir(mode=0o700, parents=True, exist_ok=True)
        program = SupervisedProgram(
            name=PROGRAM,
            argv=launch_argv(spec_file),
            directory=self.paths.root,
            log=self.paths.logs / f"{group(version)}.log",
            # With `make run`, before the Deployments that were there: else each of their programs would start cold.
            autostart=True,
            autorestart="unexpected",  # it ends with 0 when no program needs it
        )
        write_private(
            self.paths.group_file(group(version)), render_group(group(version), [program], priority=FIRST)
        )


def _spec_file(paths: StateDir, version: str) -> Path:
    return paths.runtime(version) / "warm.spec.json"


def parent_spec(paths: StateDir, version: str, home: Path) -> Spec:
    """How the parent is started. It holds no secret: nothing in it belongs to a Deployment."""
    where = contact(paths, version)
    argv = (
        str(runtimes.python(paths, version)),
        str(PARENT),
        where["socket"],
        where["proof"],
        where["ready"],
        str(IDLE_SECONDS),
    )
    environment = {
        **base_environment(),
        **default_variables(),
        **UNPRIVILEGED,
        "AIRFLOW_HOME": str(home),
        "HOME": str(home / "user"),  # `handover.FOLDERS`
        "TMPDIR": str(home / "tmp"),
        STATE_TAG: str(paths.root),
        "AIRDECK_ROOM": "." * ROOM,  # `names` writes over the memory of these two
    }
    return Spec((*argv, "." * ROOM), home, environment)
