"""Spec files: what `launch.py` starts, one 0600 file per program. They may hold secrets."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from console.kit.files import write_private

LAUNCHER = Path(__file__).with_name("launch.py")
STATE_TAG = "AIRDECK_STATE"  # in the environment of every process that was started for this state folder
DEPLOYMENT_TAG = "AIRDECK_DEPLOYMENT"  # and of which Deployment it is
BASE_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


@dataclass(frozen=True, repr=False)
class Spec:
    """A program as it is to run: absolute argv[0], its whole environment, its working folder. Never
    logged."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    # The warm parent from which it may be started: file names (`steps/warm_parents.py`). It changes not what runs.
    warm: Mapping[str, str] | None = None
    # What confines it (`fence/confine.py`); None is nothing.
    fence: Mapping[str, object] | None = None

    @property
    def digest(self) -> str:
        """Changes exactly when the program must be restarted."""
        document: dict[str, object] = {"argv": self.argv, "cwd": str(self.cwd), "env": dict(self.env)}
        if self.fence is not None:
            document["fence"] = dict(self.fence)
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def base_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The few variables of the console's own environment that a program needs on any machine."""
    return {name: environ[name] for name in BASE_ENVIRONMENT if name in environ}


def started_file(spec_file: Path) -> Path:
    """Where `launch.py` notes which spec a pid runs."""
    return spec_file.with_suffix(".started")


def launch_argv(spec_file: Path) -> tuple[str, ...]:
    """The command that supervisord runs. -I and -S: no site packages, no variables of supervisord's."""
    return (sys.executable, "-I", "-S", str(LAUNCHER), str(spec_file))


def write_spec(spec_file: Path, spec: Spec) -> bool:
    """Write the spec when it differs from what is there. Returns whether it was written."""
    document = {
        "argv": spec.argv,
        "cwd": str(spec.cwd),
        "env": dict(spec.env),
        "digest": spec.digest,
        "started": str(started_file(spec_file)),
        **({"warm": dict(spec.warm)} if spec.warm else {}),
        **({"fence": dict(spec.fence)} if spec.fence else {}),
    }
    return write_private(spec_file, json.dumps(document, sort_keys=True, indent=1))


def running_digest(spec_file: Path, pid: int) -> str:
    """The digest of the spec with which `pid` was started; "" when it has not come that far."""
    record = _started_record(spec_file)
    return str(record["digest"]) if record.get("pid") == pid else ""


def running_pid(spec_file: Path) -> int:
    """The pid of the last start; 0 before the first."""
    return int(_started_record(spec_file).get("pid", 0))


def last_digest(spec_file: Path) -> str:
    """The digest of the spec of the last start; "" before the first."""
    return str(_started_record(spec_file).get("digest", ""))


def restarts(spec_file: Path) -> int:
    """How often the program was started again since its spec last changed."""
    return max(0, int(_started_record(spec_file).get("starts", 1)) - 1)


def _started_record(spec_file: Path) -> dict[str, Any]:
    try:
        record = json.loads(started_file(spec_file).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
