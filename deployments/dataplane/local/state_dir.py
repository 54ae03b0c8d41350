"""Every path below the state folder of the embedded default, named in one place. No Django, no other app.

Two folders matter: `root`, which is kept (databases, keys, logs, DAGs), and `run_dir`, which holds sockets,
pid files and supervisord's configuration and may be lost at any time. It lies below `root` unless no socket can
have its path there.
"""

import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deployments.domain.names import RELEASE_NAME

MAX_SOCKET_PATH = 100  # bytes; Linux takes 107, macOS 103
LONGEST_SOCKET_NAME = 48  # "/" + a release name of 36 characters + "/redis.sock"
PUNCTUATION = frozenset("/._,:=@+- ")
# What Airdeck keeps outside of a state folder when it runs as root.
MACHINE = Path("/var/lib/airdeck")
# A runtime ("3.3-1"), or one with further packages ("3.3-1-0123456789abcdef").
RUNTIME_VERSION = re.compile(r"[0-9]+\.[0-9]+-[0-9]+(?:-[0-9a-f]{16})?")
PASSWORD_NAME = "supervisor_password"  # noqa: S105 - a file, beside the socket (`warm/ask.py` looks there too)


def is_plain(text: str) -> bool:
    """Whether supervisord's configuration takes `text` without quoting or expansion: letters and digits of any script,
    and PUNCTUATION, with no space at its ends. A newline there starts a program, "%" stops the daemon, ";" and "#"
    begin a comment, and "[*?" are globs of its include line."""
    fits = all(each.isalnum() or each in PUNCTUATION or unicodedata.category(each)[0] == "M" for each in text)
    return bool(text) and fits and text == text.strip()


@dataclass(frozen=True)
class StateDir:
    """The paths below one state folder. Raises ValueError, in one sentence, when `root` is unfit."""

    root: Path

    def __post_init__(self) -> None:
        text = str(self.root)
        if not self.root.is_absolute() or not is_plain(text) or ".." in self.root.parts:
            raise ValueError(
                f"The state folder {text!r} cannot be used: choose an absolute path of letters, "
                "digits, spaces and the characters / . _ , : = @ + -."
            )

    @property
    def version_file(self) -> Path:
        """Says which version of the console wrote this folder."""
        return self.root / "version"

    @property
    def lock_file(self) -> Path:
        """Locked by the one `up` that uses this folder."""
        return self.root / "lock"

    @property
    def keys(self) -> Path:
        """Keys generated at the first start, each a file of mode 0600."""
        return self.root / "keys"

    @property
    def postgres(self) -> Path:
        """The embedded Postgres's data folder; made by the user who starts it, and its user's own."""
        return self.root / "postgres"

    @property
    def postgres_home(self) -> Path:
        """The folder that holds Postgres's data: `postgres`, unless a link in it names another (ADR 20)."""
        link = self.postgres / "home"
        return Path(os.readlink(link)) if link.is_symlink() else self.postgres

    @property
    def redis(self) -> Path:
        """The working folder of the console's own Redis."""
        return self.root / "redis"

    @property
    def logs(self) -> Path:
        """Logs of the console's own processes."""
        return self.root / "logs"

    @property
    def runtimes(self) -> Path:
        """One folder per installed runtime."""
        return self.root / "runtimes"

    @property
    def deployments(self) -> Path:
        """One folder per Deployment, named as its release."""
        return self.root / "deployments"

    @property
    def ports(self) -> Path:
        """One file per allotted port, named as the port; its content names the release."""
        return self.root / "ports"

    @cached_property
    def run_dir(self) -> Path:
        """Sockets, pid files, supervisord.conf and groups/. Short enough that its sockets can be bound, and without a
        comma, at which Postgres and its clients end the name of a folder of sockets."""
        near = self.root / "run"
        if len(os.fsencode(near)) + LONGEST_SOCKET_NAME < MAX_SOCKET_PATH and "," not in str(near):
            return near
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(f"/tmp/airdeck-{os.getuid()}-{digest}")  # noqa: S108 - owner and mode are checked in `create`

    @property
    def supervisor_socket(self) -> Path:
        """Where supervisord answers; mode 0700."""
        return self.run_dir / "supervisor.sock"

    @property
    def supervisor_password(self) -> Path:
        """What supervisord asks everybody for; made at each start, mode 0600. A fence hides it."""
        return self.run_dir / PASSWORD_NAME

    @property
    def supervisor_config(self) -> Path:
        """supervisord's main configuration; it includes `groups`/*.conf, relative to itself."""
        return self.run_dir / "supervisord.conf"

    @property
    def supervisor_pid(self) -> Path:
        """supervisord's pid file."""
        return self.run_dir / "supervisord.pid"

    @property
    def groups(self) -> Path:
        """One file per supervisord group that was added at run time. Emptied at each start of `up`, so that
        the reconciler, not supervisord, brings Deployments back, after their databases."""
        return self.run_dir / "groups"

    @property
    def warm(self) -> Path:
        """Sockets of the warm parents, and which of them are ready; mode 0700."""
        return self.run_dir / "warm"

    @property
    def redis_socket(self) -> Path:
        """The console's own Redis."""
        return self.run_dir / "redis.sock"

    def sockets(self, release_name: str) -> Path:
        """The folder of a Deployment's own sockets."""
        return self.run_dir / self.deployment(release_name).name

    def group_file(self, group: str) -> Path:
        """The configuration of one group."""
        return self.groups / f"{group}.conf"

    def runtime(self, version: str) -> Path:
        """The folder of one runtime ("3.3-1"), or of one with further packages ("3.3-1-0123456789abcdef")."""
        if not RUNTIME_VERSION.fullmatch(version):
            raise ValueError(f"{version!r} is not a runtime version.")
        return self.runtimes / version

    def deployment(self, release_name: str) -> Path:
        """The folder of one Deployment."""
        if not RELEASE_NAME.fullmatch(release_name):
            raise ValueError(f"{release_name!r} is not a release name.")
        return self.deployments / release_name

    def create(self) -> None:
        """Make every folder but Postgres's own. Raises ValueError when one is another user's, or a symlink.

        Each is 0700; for root, those through which Postgres's user and the accounts of Deployments must pass are 0711.
        """
        through = 0o711 if os.getuid() == 0 else 0o700
        passed = (self.root, self.run_dir, self.runtimes, self.deployments)
        inner = (self.keys, self.redis, self.logs, self.runtimes, self.deployments, self.ports)
        for folder in (self.root, self.run_dir, self.groups, self.warm, *inner):
            mode = through if folder in passed else 0o700
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
            found = folder.lstat()
            if folder.is_symlink() or found.st_uid != os.getuid():
                raise ValueError(
                    f"{folder} belongs to another user: remove it or choose another state folder."
                )
            if found.st_mode & 0o777 != mode:
                folder.chmod(mode)

    def forget_groups(self) -> None:
        """Remove every group file, and the counts of starts: a new life of the installation is no crash. Only for
        `up`, before it starts supervisord."""
        for file in (*self.groups.glob("*.conf"), *self.deployments.glob("*/specs/*.started")):
            file.unlink(missing_ok=True)
