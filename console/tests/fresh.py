"""`make fresh`: Airdeck on empty systems, as somebody meets it. Needs root and debootstrap.

Each system is made by debootstrap in a temporary folder and entered in namespaces of its own (processes, mounts), so
that whatever happens, ending one process leaves nothing behind. What this machine's environment says about its package
index, proxies and certificates goes along; nothing else does.

Run as: python -m console.tests.fresh [CASE ...]. Without CASE all of CASES but `suite`, which is `make test`.
"""

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from console.embedded import programs
from console.installer import reach
from console.kit.packages import how_to_install
from console.tests.system.installation import Installation, free_port, wait_until

PACKAGES = "ca-certificates,git,make,python3"
NETWORK = re.compile(
    r"PIP_\w+|UV_(?!PYTHON|CACHE_DIR)\w+|(?:https?|all|no)_proxy|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE",
    re.I,
)
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
HOME_OF_ADA = "/home/ada"
READY_SECONDS, HEALTHY_SECONDS, STOP_SECONDS = 180, 300, 30
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens
OFFLINE = {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "UV_OFFLINE": "1"}
# In namespaces of its own: the devices and the kernel's files that every program expects. The host's stay unseen.
ENTER = """
mount --make-rprivate /
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for each in stdin:0 stdout:1 stderr:2; do ln -s /proc/self/fd/${each#*:} dev/${each%:*}; done
exec chroot . "$@"
"""
# The shell is the namespace's first process, so it sees what `make run` leaves.
RUN = """
code=0
make run || code=$?
for each in /proc/[0-9]*; do [ "$each" = /proc/$$ ] || echo "Left: $(tr '\\0' ' ' < $each/cmdline)"; done
exit $code
"""


class System:
    """One empty system below `root`, with a clone of this checkout's last commit wherever it is wanted."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def made(cls, folder: Path, suite: str) -> "System":
        """By debootstrap, which takes a minute, with what reaches the package index."""
        root = folder / suite
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(root))
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        certificates = reach.read(os.environ).ca_file
        if certificates:
            shutil.copy(certificates, root / BUNDLE)
        for file in ("etc/pip.conf", "etc/xdg/pip/pip.conf", "etc/uv/uv.toml"):
            if Path("/", file).is_file():
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path("/", file), root / file)
        system = cls(root)
        run(
            *system.argv(
                "useradd --create-home --home-dir /home/ada --shell /bin/sh ada && chmod 700 /home/ada"
            )
        )
        return system

    def argv(
        self, script: str, *, user: str = "root", environment: dict[str, str] | None = None
    ) -> list[str]:
        """The command that runs a shell script inside."""
        enter = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            f"--wd={self.root}",
            "sh",
            "-euc",
            ENTER,
            "enter",
        ]
        inside = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        inside |= {name: value for name, value in os.environ.items() if NETWORK.fullmatch(name)}
        inside = {
            n: f"/{BUNDLE}" if n in reach.CERTIFICATES else v
            for n, v in inside.items()
            if n != "SSL_CERT_DIR"
        }
        inside |= {"HOME": "/root" if user == "root" else HOME_OF_ADA, **(environment or {})}
        given = [f"{name}={value}" for name, value in inside.items() if value]
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return [*enter, "env", "-i", *given, *become, "sh", "-euc", script]

    def clone(self, place: str, owner: str = "root", umask: str = "022") -> None:
        """`git clone` into `place` of the system."""
        target = f"{self.root}{place}"
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        run(
            "sh",
            "-euc",
            f'umask {umask}; exec git clone --quiet --no-local "$0" "$1"',
            str(programs.BASE),
            target,
        )
        if owner != "root":
            run(*self.argv(f"chown -R {owner} {shlex.quote(place)}"))


class Visit(Installation):
    """A person at a console that runs elsewhere."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=30)


class Console:
    """One `make run` inside a system."""

    def __init__(
        self, system: System, place: str, *, user: str = "root", before: str = "", **environment: str
    ) -> None:
        self.system = system
        self.port = free_port()
        self.log = system.root.parent / "make-run.log"
        script = f"{before}cd {shlex.quote(place)}; {RUN}"
        self.argv = system.argv(script, user=user, environment={"PORT": str(self.port), **environment})
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Wait for the line that says the address, which is printed after the first page. Returns seconds."""
        begun = time.monotonic()
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                self.argv, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        wait_until(self._ready, READY_SECONDS, self.message, 0.1)
        return time.monotonic() - begun

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.message()
        return f"Airdeck is ready: http://127.0.0.1:{self.port}\n" in self.log.read_text()

    def message(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-3000:]

    def create(self) -> float:
        """Sign up, press Create, wait for Healthy. Returns the seconds from the press."""
        visit = Visit(f"http://127.0.0.1:{self.port}")
        try:
            visit.sign_up()
            begun = time.monotonic()
            visit.wait_status(visit.create_deployment("First"), "Healthy", HEALTHY_SECONDS)
            return time.monotonic() - begun
        finally:
            visit.client.close()

    def stop(self) -> float:
        """As Ctrl-C does. Returns seconds; fails when something is left inside."""
        assert self.process is not None
        begun = time.monotonic()
        for process in psutil.Process(self.process.pid).children(recursive=True):
            if process.cmdline()[-2:] == ["manage.py", "up"]:
                process.send_signal(signal.SIGINT)
        code = self.process.wait(STOP_SECONDS)
        assert code == 0, f"exit code {code}: {self.message()}"
        assert "Left: " not in self.log.read_text(errors="replace"), self.message()
        return time.monotonic() - begun

    def end(self) -> None:
        """Whatever happened: ending the namespace's first process ends all in it."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def run(*argv: str) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(argv)[-300:]}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
    return done.stdout


def lived(console: Console, *, deployment: bool = False) -> str:
    """Start, perhaps create, stop; what it took, in words."""
    try:
        words = f"first page after {console.start():.1f} s"
        if deployment:
            words += f", Create to Healthy {console.create():.1f} s"
        return f"{words}, stopped in {console.stop():.1f} s"
    finally:
        console.end()


def as_root(system: System) -> Iterator[str]:
    """Root in /root, then once more without a network."""
    system.clone("/root/airdeck")
    yield lived(Console(system, "/root/airdeck"), deployment=True)
    yield "without a network, again: " + lived(Console(system, "/root/airdeck", **OFFLINE))


def as_user(system: System) -> Iterator[str]:
    """An ordinary user whose home is closed to others, without HOME."""
    system.clone(f"{HOME_OF_ADA}/airdeck", owner="ada")
    yield lived(Console(system, f"{HOME_OF_ADA}/airdeck", user="ada", HOME=""), deployment=True)


def odd_paths(system: System) -> Iterator[str]:
    """Spaces, letters of other alphabets, umask 077, LC_ALL=C; a long path; a symbolic link; a read-only checkout."""
    odd = {"LC_ALL": "C", "LANG": "", "HOME": ""}
    system.clone("/srv/x y/ü/airdeck", umask="077")
    yield "'/srv/x y/ü/airdeck', umask 077: " + lived(
        Console(system, "/srv/x y/ü/airdeck", before="umask 077; ", **odd), deployment=True
    )
    deep = "/srv" + "/a-long-name" * 24 + "/airdeck"
    system.clone(deep, owner="ada")
    yield f"{len(deep)} characters: " + lived(Console(system, deep, user="ada"), deployment=True)
    run(*system.argv(f"ln -s {deep} {HOME_OF_ADA}/link"))
    yield "a symbolic link: " + lived(Console(system, f"{HOME_OF_ADA}/link", user="ada"))
    system.clone("/srv/shared")
    state = f"{HOME_OF_ADA}/state"
    yield "a checkout of root's: " + lived(Console(system, "/srv/shared", user="ada", STATE_DIR=state))


def suite(system: System) -> Iterator[str]:
    """`make test`."""
    system.clone("/root/airdeck")
    begun = time.monotonic()
    last = ""
    script = "cd /root/airdeck; exec make test"
    with subprocess.Popen(
        system.argv(script), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:  # half an hour is long without a word
            print(line, end="", flush=True)
            last = line.strip() or last
    assert running.returncode == 0, last
    yield f"make test: {last} ({time.monotonic() - begun:.0f} s in all)"


def too_old(system: System) -> Iterator[str]:
    """No Python that the console runs on, and uv's own cannot be fetched: one sentence."""
    system.clone("/root/airdeck")
    nowhere = {"UV_PYTHON_INSTALL_MIRROR": NOWHERE}
    done = subprocess.run(
        system.argv("cd /root/airdeck; exec make run", environment=nowhere),
        capture_output=True,
        text=True,
        check=False,
    )
    message = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("make: ***"))
    assert done.returncode != 0, "it was not refused"
    assert re.fullmatch(r".*Airdeck needs Python 3\.12 or 3\.13.*", message), message
    yield message


CASES: dict[str, tuple[str, Callable[[System], Iterator[str]]]] = {
    "root": ("trixie", as_root),
    "user": ("trixie", as_user),
    "paths": ("trixie", odd_paths),
    "old": ("bookworm", too_old),
    "suite": ("trixie", suite),
}


@contextmanager
def copies(folder: Path) -> Iterator[Callable[[str], System]]:
    """A fresh copy of an empty system, each made once."""
    made: dict[str, System] = {}

    def copy(name: str) -> System:
        if name not in made:
            made[name] = System.made(folder, name)
        target = Path(tempfile.mkdtemp(prefix="system-", dir=folder)) / "root"
        run("cp", "-a", str(made[name].root), str(target))
        return System(target)

    yield copy


def main(arguments: list[str]) -> int:
    """Run the cases and print a line for each figure. Returns 0 when all went well."""
    parser = argparse.ArgumentParser(prog="make fresh ARGS=...", description=__doc__)
    parser.add_argument(
        "case", nargs="*", default=[name for name in CASES if name != "suite"], choices=[*CASES, []]
    )
    cases = parser.parse_args(arguments).case
    if os.getuid() != 0:
        return _refused("root alone may make and enter an empty system: run `sudo make fresh`.")
    if shutil.which("debootstrap") is None:
        packages = how_to_install(debian="debootstrap", fedora="debootstrap", arch="debootstrap")
        return _refused(f"debootstrap is missing: install it ({packages}).")
    folder = Path(tempfile.mkdtemp(prefix="airdeck-fresh-"))
    try:
        with copies(folder) as copy:
            for name in cases:
                of, case = CASES[name]
                system = copy(of)
                for words in case(system):
                    print(f"{name} ({of}): {words}", flush=True)
                shutil.rmtree(system.root.parent)
    finally:
        shutil.rmtree(folder)
    return 0


def _refused(why: str) -> int:
    print(f"This cannot be tried: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
