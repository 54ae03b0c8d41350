"""The configuration of a Deployment: its port, its files, and the specs of its programs."""

import json
from dataclasses import dataclass
from pathlib import Path

from console.kit.files import write_private
from deployments.dataplane.local import environment, ports
from deployments.dataplane.local.environment import Layout
from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.steps import applied, programs
from deployments.dataplane.local.steps.fencing import Fencing
from deployments.dataplane.local.steps.warm_parents import WarmStarts
from deployments.dataplane.local.supervisor.processes import Processes
from deployments.dataplane.local.supervisor.specs import base_environment
from deployments.dataplane.postgres import databases
from deployments.domain.spec import Release, Secrets


@dataclass(frozen=True)
class Configuration:
    """How the programs of this data plane are configured. Holds nothing that matters: files are the truth."""

    paths: StateDir
    admin_url: str
    fencing: Fencing
    warm: WarmStarts
    console_urls: str
    takes_password: bool

    def write(self, release_name: str, release: Release, secrets: Secrets, processes: Processes) -> str:
        """Make every folder and file that differs. A sentence when something was written, else ""."""
        folder = self.paths.deployment(release_name)
        applied.leave(folder, release.digest)
        version = runtimes.environment(release.runtime.version, release.packages)
        self.fencing.prepare(release_name, version)
        held = ports.upstream(self.paths.root, release_name)
        stranger = held is not None and programs.port_taken(processes.known(), held)
        port = ports.allot(self.paths, release_name, avoid=held if stranger else None)
        layout = self.layout(release_name, release, secrets, port)
        written = [
            self.fencing.write(file, text, release_name, version)
            for file, text in environment.files(secrets, layout).items()
        ]
        specs = environment.static_specs(release, secrets, layout)
        written.append(write_private(folder / "wanted.json", json.dumps(environment.instances(release))))
        written.append(bool(processes.write_specs(specs)))
        if not any(written):
            return ""
        moved = (
            f" Port {held} is used by another program; the API server moves to {port}." if stranger else ""
        )
        return f"Wrote the configuration.{moved}"

    def layout(self, release_name: str, release: Release, secrets: Secrets, port: int) -> Layout:
        """Where the Deployment lives, and what its programs are given."""
        name = databases.database_name(release_name)
        version = runtimes.environment(release.runtime.version, release.packages)
        return Layout(
            state_dir=self.paths.root,
            folder=self.paths.deployment(release_name),
            python=runtimes.python(self.paths, version),
            redis_server=self.fencing.redis_server,
            redis_socket=redis_socket(self.paths, release_name),
            port=port,
            console_port=self.fencing.console_port,
            database_url=databases.url(
                self.admin_url, database=name, user=name, password=secrets.database_password
            ),
            base=self.fencing.base(release_name, version, base_environment()),
            console_urls=self.console_urls,
            takes_password=self.takes_password,
            warm=self.warm.contact(version),
            fence=self.fencing.document(release_name, version, port),
        )


def redis_socket(paths: StateDir, release_name: str) -> Path:
    """Where the Deployment's own Redis answers."""
    return paths.sockets(release_name) / "redis.sock"
