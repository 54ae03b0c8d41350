"""The driver's side of the fence: makes a Deployment's folders, gives them to the user that runs its programs, and says
what these may reach. Everything that holds is in files: the account, who owns what."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from console.kit.files import write_private
from deployments.dataplane.local.fence import accounts, plan, ways
from deployments.dataplane.local.program_names import API_SERVER
from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.state_dir import StateDir

ISOLATION = "Isolation"  # the note that says what keeps the code of Deployments apart
# What a Deployment's programs write into.
THEIRS = ("home", "dags", "plugins", "tmp", "redis", "logs/tasks", "logs/dags")


@dataclass(frozen=True)
class Fencing:
    """The fences of one data plane. `switched_on` is what FENCE says, `shared` what FENCE_FOLDERS does."""

    paths: StateDir
    admin_url: str
    redis_server: Path
    console_port: int
    switched_on: bool
    shared: tuple[str, ...]

    def isolation(self, version: str) -> ways.Isolation:
        """What keeps apart the Deployments that run on this runtime."""
        python = runtimes.python(self.paths, version)
        return ways.find(self.paths.root, python, self.redis_server, switched_on=self.switched_on)

    def prepare(self, release_name: str, version: str) -> None:
        """Make the folders of the Deployment and give them to the user that is to run its programs. Idempotent."""
        folder = self.paths.deployment(release_name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "home").mkdir(mode=0o700, exist_ok=True)
        _link_configuration(folder)
        uid = os.getuid()
        if self.isolation(version).account:
            uid = accounts.allot(self.paths, release_name)
            environment = Path(os.path.realpath(runtimes.current(self.paths, version)))
            accounts.let_everybody_read(environment)
            accounts.let_in(environment.parent, 0o711, os.getgid())
            for code in (folder / "code").glob("versions/*"):  # of an older Airdeck
                accounts.let_everybody_read(code)
                accounts.let_in(code.parent, 0o755, os.getgid())
        for name in ("logs", "code", "config", "secrets"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        for theirs in (*(folder / name for name in THEIRS), self.paths.sockets(release_name)):
            accounts.give(theirs, uid)
        if os.getuid() == 0:
            for path in (folder, *(folder / name for name in ("logs", "code", "config", "secrets"))):
                accounts.let_in(path, 0o710 if path == folder or path.name == "logs" else 0o750, uid)

    def write(self, file: Path, text: str, release_name: str, version: str) -> bool:
        """Write a file that the Deployment's programs read. Whether that changed anything."""
        if not self.isolation(version).account:
            return write_private(file, text)
        return write_private(file, text, mode=0o640, group=accounts.allot(self.paths, release_name))

    def document(self, release_name: str, version: str, port: int) -> Mapping[str, object] | None:
        """What confines its programs; None when nothing can, or is to."""
        found = self.isolation(version)
        if not found.any:
            return None
        return plan.fence(
            self.paths.deployment(release_name),
            uid=accounts.allot(self.paths, release_name) if found.account else None,
            groups=self._groups(),
            landlock=found.landlock > 0,
            sockets=self.paths.sockets(release_name),
            programs=[*plan.interpreter(runtimes.python(self.paths, version)), self.redis_server],
            shared=self.shared,
            port=port,
            console_port=self.console_port,
        )

    def base(self, release_name: str, version: str, environment: Mapping[str, str]) -> dict[str, str]:
        """The console's own variables, with a home and a folder for temporary files that are within the fence. Where
        the Deployment has an account, also a name for it: Airflow asks for one, and /etc/passwd has none."""
        folder = self.paths.deployment(release_name)
        within = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
        named = {"USER": release_name} if self.isolation(version).account else {}
        return {**environment, **within, **named}

    def details(self, release_name: str) -> dict[str, str]:
        """What people should know: that there is no fence, or not a whole one."""
        found = self._applied(release_name)
        return {} if found.whole else {ISOLATION: found.sentence}

    def _applied(self, release_name: str) -> ways.Isolation:
        """The fence that its programs were last started with; before that, the one that they would have."""
        found = ways.find(
            self.paths.root, Path(sys.executable), self.redis_server, switched_on=self.switched_on
        )
        try:
            spec = json.loads(
                (self.paths.deployment(release_name) / "specs" / f"{API_SERVER}.json").read_text()
            )
        except (OSError, ValueError):
            return found
        fence = spec.get("fence")
        if not fence:
            return replace(found, landlock=0, account=False)
        return ways.Isolation(found.landlock if fence["landlock"] else 0, account=fence["uid"] is not None)

    def account(self, release_name: str) -> int | None:
        """The number of its account, for `forget`."""
        return accounts.held(self.paths, release_name)

    def forget(self, release_name: str, number: int | None) -> None:
        """Give its account back: its files are gone."""
        if number is not None and os.getuid() == 0:
            accounts.release(self.paths, release_name, number)

    def _groups(self) -> list[int]:
        """For root: the group that may pass to Postgres's socket, and nothing else."""
        host = parse_qs(urlsplit(self.admin_url).query).get("host", [""])[0]
        if os.getuid() != 0 or not host.startswith("/"):
            return []
        with suppress(OSError):
            return [Path(host).stat().st_gid]
        return []


def _link_configuration(folder: Path) -> None:
    """Airflow looks for modules in home/config, which is a link: what is written there as the console would be written
    wherever the code of the Deployment had put a link. An older Airdeck had a folder there."""
    link, real, draft = folder / "home" / "config", folder / "config", folder / "home" / ".config.link"
    if link.is_symlink() and os.readlink(link) == str(real):
        return
    if link.is_dir() and not link.is_symlink():
        link.rename(link.with_name(f"config.before.{uuid4().hex}") if real.exists() else real)
    draft.unlink(missing_ok=True)
    draft.symlink_to(real)
    draft.replace(link)
