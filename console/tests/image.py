"""Building and running the image for real, with podman, in a folder of its own that leaves nothing behind.

The Containerfile is what an operator uses. Where no registry can be reached its base is made here: an empty Debian with
Python, by debootstrap. IMAGE_BASE names another one, such as `docker.io/library/python:3.13-slim`, and IMAGE_STORE a
folder that keeps everything from run to run. The package index, its certificates and proxies are those of this machine,
and get into no layer.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from console.installer import reach
from console.tests.fresh import NETWORK, run

ROOT = Path(__file__).resolve().parents[2]
BASE = "localhost/airdeck-test-base"
# What python:*-slim has: Python and pip, and neither documentation nor other languages.
PACKAGES = "ca-certificates,python3,python3-pip,python-is-python3"
NEEDLESS = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")
# podman's runtime, for a machine whose root may raise no limit and whose control groups crun does not take: neither is
# needed here, and everything else of a container's configuration stays as it is.
RUNTIME = """#!/usr/bin/python3
import ctypes, json, os, sys
def change(file, changed):
    with open(file) as found:
        document = json.load(found)
    changed(document)
    with open(file, "w") as written:
        json.dump(document, written)

def container(config):
    config["process"].pop("rlimits", None)
    config["mounts"] = [mount for mount in config["mounts"] if mount["type"] != "cgroup"]
    config["linux"].pop("resources", None)
    config["linux"]["namespaces"] = [each for each in config["linux"]["namespaces"] if each["type"] != "cgroup"]

for word, value in zip(sys.argv, sys.argv[1:]):
    if word == "--bundle":
        change(value + "/config.json", container)
    if word in ("--process", "-p"):
        change(value, lambda process: process.pop("rlimits", None))
libc = ctypes.CDLL(None)
libc.unshare(0x20000)  # a mount namespace of its own, in which there are no control groups of the second kind
libc.mount(b"none", b"/", None, 0x44000, None)  # private, recursively
libc.umount2(b"/sys/fs/cgroup/unified", 2)
os.execv("/usr/bin/crun", ["crun", "--cgroup-manager=disabled", *sys.argv[1:]])
"""
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
ENDS_SECONDS = 90


def missing() -> str:
    """Why nothing can be built here, in a sentence; empty where it can."""
    if os.getuid() != 0:
        return "Building the image in a test needs root."
    for program in ("podman", "crun", *(() if os.environ.get("IMAGE_BASE") else ("debootstrap",))):
        if shutil.which(program) is None:
            return f"{program} is not on PATH: install it (apt install podman crun debootstrap)."
    return ""


@dataclass(frozen=True)
class Ended:
    """What came of a container."""

    code: int
    seconds: float
    output: str


class Podman:
    """A store of images and what runs of them, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        runtime = folder / "bin" / "crun"  # by this name podman knows what it can do
        runtime.parent.mkdir(parents=True, exist_ok=True)
        runtime.write_text(RUNTIME)
        runtime.chmod(0o755)
        self._argv = (
            "podman",
            f"--runtime={runtime}",
            f"--root={folder / 'storage'}",
            f"--runroot={folder / 'run'}",
            f"--tmpdir={folder / 'tmp'}",
            "--storage-driver=overlay",
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
        )

    def __call__(self, *arguments: str) -> str:
        """The output of a command that must succeed."""
        return run(*self._argv, *arguments)

    def argv(self, *arguments: str) -> list[str]:
        """The same as an argument list."""
        return [*self._argv, *arguments]

    def base(self) -> str:
        """The image that ours stands on."""
        if named := os.environ.get("IMAGE_BASE"):
            return named
        if self.has(BASE):
            return BASE
        root = self.folder / "base"
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "trixie", str(root))
        for name in NEEDLESS:
            shutil.rmtree(root / name, ignore_errors=True)
        packed = ("tar", "--directory", str(root), "--create", ".")
        with subprocess.Popen(packed, stdout=subprocess.PIPE) as tar:
            subprocess.run(self.argv("import", "--quiet", "-", BASE), stdin=tar.stdout, check=True)
        assert tar.returncode == 0
        shutil.rmtree(root)
        return BASE

    def has(self, image: str) -> bool:
        """Whether it is in the store."""
        return subprocess.run(self.argv("image", "exists", image), check=False).returncode == 0

    def build(self, target: str, base: str) -> str:
        """`docker build --target TARGET`; the image's name."""
        conf = self.folder / "pip.conf"
        conf.write_text(_pip_conf())
        self(
            *(
                "build",
                "--format=docker",
                "--isolation=chroot",
                "--network=host",
                f"--pull={'missing' if os.environ.get('IMAGE_BASE') else 'never'}",
            ),
            *("--file", str(ROOT / "deploy/image/Containerfile"), f"--build-arg=PYTHON={base}"),
            *(f"--secret=id=pip,src={conf}", f"--volume={BUNDLE}:{BUNDLE}:ro"),
            *(f"--target={target}", f"--tag=localhost/{target}", str(ROOT)),
        )
        return f"localhost/{target}"

    def layers(self, image: str) -> tuple[int, list[tuple[int, str]]]:
        """Bytes of an image, and of each layer with what made it."""
        (found,) = json.loads(self("image", "inspect", image))
        history = json.loads(self("history", "--format=json", "--no-trunc", image))
        return int(found["Size"]), [(each["size"], each["CreatedBy"]) for each in history if each["size"]]

    @contextmanager
    def running(
        self, image: str, *command: str, options: Sequence[str] = (), cpu: int | None = None
    ) -> Iterator["Container"]:
        """A container of it, in this machine's network; removed at the end."""
        pinned = [] if cpu is None else ["taskset", "--cpu-list", str(cpu)]
        started = time.monotonic()
        given = ("run", "--detach", "--network=host", "--cgroups=disabled", *options, image, *command)
        identity = run(*pinned, *self._argv, *given).strip().splitlines()[-1]
        container = Container(self, identity, started)
        try:
            yield container
        finally:
            subprocess.run(self.argv("rm", "--force", "--time=0", identity), capture_output=True, check=False)

    def close(self) -> None:
        """Remove everything; of a store that is kept, what runs."""
        subprocess.run(self.argv("rm", "--all", "--force", "--time=0"), capture_output=True, check=False)
        if os.environ.get("IMAGE_STORE"):
            return
        subprocess.run(self.argv("umount", "--all"), capture_output=True, check=False)
        subprocess.run(("umount", str(self.folder / "storage/overlay")), capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Container:
    """One that was started."""

    podman: Podman
    identity: str
    started: float  # time.monotonic() before it was asked for

    def logs(self) -> str:
        """What it wrote."""
        done = subprocess.run(
            self.podman.argv("logs", self.identity), capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """`docker exec`."""
        return subprocess.run(
            self.podman.argv("exec", self.identity, *command), capture_output=True, text=True, check=False
        )

    def is_alive(self) -> bool:
        """As its own health check says."""
        return self.run("python", "-m", "console.kit.heartbeat").returncode == 0

    def ended(self) -> Ended:
        """Once it has ended by itself."""
        began = time.monotonic()
        done = subprocess.run(
            self.podman.argv("wait", self.identity),
            capture_output=True,
            text=True,
            check=True,
            timeout=ENDS_SECONDS,
        )
        return Ended(int(done.stdout), time.monotonic() - began, self.logs())

    def stop(self) -> Ended:
        """TERM, and how it took that."""
        self.podman("kill", "--signal=TERM", self.identity)
        return self.ended()


def environment(given: Mapping[str, str]) -> list[str]:
    """As options of `run`."""
    return [f"--env={name}={value}" for name, value in given.items()]


def network() -> dict[str, str]:
    """What reaches the package index from inside, when the certificates lie where they do here."""
    found = {name: value for name, value in os.environ.items() if NETWORK.fullmatch(name)}
    return {
        name: BUNDLE if name in reach.CERTIFICATES else value
        for name, value in found.items()
        if name not in {"SSL_CERT_DIR", "PIP_FIND_LINKS"}
    }


def _pip_conf() -> str:
    found = reach.read(os.environ)
    lines = [f"index-url = {found.index}"] * bool(found.index)
    lines += [f"proxy = {found.proxy}"] * bool(found.proxy)
    lines += [f"trusted-host = {' '.join(found.trusted)}"] * bool(found.trusted)
    return "\n".join(["[global]", f"cert = {BUNDLE}", *lines, ""])


def store() -> Podman:
    """An empty one; or that of the folder IMAGE_STORE, which keeps layers from run to run."""
    kept = os.environ.get("IMAGE_STORE")
    return Podman(Path(kept or tempfile.mkdtemp(prefix="airdeck-image-", dir="/tmp")))
