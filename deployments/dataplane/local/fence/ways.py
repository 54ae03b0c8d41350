"""Which ways of isolation this machine offers, and what each is worth, in sentences for people."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from console.kit.wording import listed
from deployments.dataplane.local.fence import landlock

# Of capabilities(7), by number: what `up` needs to give a Deployment an account of its own.
NEEDED = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SYS_PTRACE": 19,  # what a killed program left is found by its environment
}
PARTLY = {
    landlock.KNOWS_TRUNCATE: "empty files of this user that it cannot read",
    landlock.KNOWS_PORTS: "take the port of another Deployment that does not run",
    landlock.KNOWS_SCOPES: "end processes of this user",
}


@dataclass(frozen=True)
class Isolation:
    """How the code of Deployments is kept apart: `landlock` is the version in use, 0 for none; `account` whether each
    Deployment has an account of its own. `why` says why there is neither, as a sentence."""

    landlock: int = 0
    account: bool = False
    why: str = ""

    @property
    def any(self) -> bool:
        """Whether there is a fence at all."""
        return self.account or self.landlock > 0

    @property
    def whole(self) -> bool:
        """Whether it leaves nothing to say."""
        return self.account or self.landlock >= max(PARTLY)

    @property
    def sentence(self) -> str:
        """What holds, for people."""
        if not self.any:
            return (
                "Not isolated: the code of every Deployment can read the console's keys and the other Deployments' "
                f"secrets. {self.why}"
            )
        if self.account and self.landlock:
            return (
                "Isolated: each Deployment has an account of its own, and Landlock keeps it to its own files."
            )
        if self.account:
            return "Isolated: each Deployment has an account of its own. This kernel has no Landlock."
        able = [what for version, what in PARTLY.items() if self.landlock < version]
        if not able:
            return "Isolated: Landlock keeps the code of each Deployment to its own files and processes."
        return (
            "Isolated in part: Landlock keeps the code of each Deployment to its own files, but on this kernel it can "
            f"{listed(able)}. Linux 6.12 or newer prevents that."
        )


def find(root: Path, *programs: Path, switched_on: bool = True) -> Isolation:
    """What there is for Deployments of the state folder `root` that run these programs, by default our Python.
    `switched_on` is what FENCE says."""
    if not switched_on:
        return Isolation(why="FENCE is false: leave it out to isolate them.")
    real = [Path(os.path.realpath(program)) for program in programs or (sys.executable,)]
    found = Isolation(landlock.version(), account=_accounts(root, *real))
    if found.any:
        return found
    return Isolation(why=f"This system has no Landlock (Linux 5.13 or newer). {_instead(root)}")


def _instead(root: Path) -> str:
    if os.getuid() != 0:
        return (
            "Use such a system, or start Airdeck as root, which gives each Deployment an account of its own."
        )
    if not _may_change_user():
        return f"Use such a system, or give root its rights in this container: {', '.join(NEEDED)}."
    return f"Use such a system, or let every user pass the folders above {root} and {sys.executable}."


def _accounts(root: Path, *programs: Path) -> bool:
    """Whether another user's process could run there, and we could start it."""
    return os.getuid() == 0 and all(map(passable, (root / "x", *programs))) and _may_change_user()


def passable(path: Path) -> bool:
    """Whether everybody may pass every folder above `path`; those that are still to be made are ours."""
    return all(folder.stat().st_mode & 0o1 for folder in path.parents if folder.exists())


def _may_change_user() -> bool:
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            (held,) = (int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    except (OSError, ValueError):
        return False
    return all(held >> number & 1 for number in NEEDED.values())
