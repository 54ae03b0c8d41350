"""The image itself: built, weighed, and each of its processes run as compose.yaml runs it.

Only with IMAGE_TEST=1, because it takes minutes: `IMAGE_TEST=1 make test ARGS="console/tests/test_image.py -s"`.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from console import processes
from console.embedded import keys, postgres, redis_server
from console.kit.files import write_private
from console.tests import image
from console.tests.fresh import HEALTHY_SECONDS, Visit
from console.tests.image import Podman
from console.tests.system.installation import free_port, is_ready, wait_until
from console.tests.test_chart import GRACES
from console.tests.test_compose import COMPOSE, OURS, ROOT
from deployments.dataplane.local.state_dir import StateDir

pytestmark = pytest.mark.skipif(
    os.environ.get("IMAGE_TEST") != "1" or bool(image.missing()),
    reason=f"IMAGE_TEST is not 1. {image.missing()}",
)
MOST_BYTES = 300_000_000
COLD_START_SECONDS = 5.0
# Names of compose's network, as addresses of this machine.
HOSTS = {"postgres": "127.0.0.2", "valkey": "127.0.0.3"}
FILLED_IN = {"AIRDECK_HOST": "airdeck.example.org", "EMAIL_HOST": "mail.example.org"}
BEHIND_PROXY = {
    "Host": FILLED_IN["AIRDECK_HOST"],
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "192.0.2.1",
}


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    made = image.store()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def base(podman) -> str:
    return podman.base()


@pytest.fixture(scope="module")
def console(podman, base) -> str:
    return podman.build("console", base)


@dataclass(frozen=True)
class Host:
    """One host, as docs/install.md has it made: secrets, and the servers that compose.yaml starts."""

    podman: Podman
    image: str
    secrets: Path

    def options(self, name: str, **settings: str) -> list[str]:
        """What compose gives a service of ours."""
        service = OURS[name]
        mounted = [f"--volume={self.secrets / each}:/run/secrets/{each}:ro" for each in service["secrets"]]
        return [
            "--read-only",
            *(f"--tmpfs={each}" for each in service["tmpfs"]),
            *(f"--cap-drop={each}" for each in service["cap_drop"]),
            *(f"--security-opt={each.removesuffix(':true')}" for each in service["security_opt"]),
            *mounted,
            *(f"--add-host={host}:{address}" for host, address in HOSTS.items()),
            *image.environment({**interpolated(service["environment"]), **settings}),
        ]

    def running(self, name: str, cpu: int | None = None, **settings: str) -> Any:
        """A service of compose.yaml."""
        return self.podman.running(
            self.image, *OURS[name]["command"], options=self.options(name, **settings), cpu=cpu
        )


def interpolated(environment: Mapping[str, str]) -> dict[str, str]:
    """With FILLED_IN, and defaults."""

    def value(found: re.Match[str]) -> str:
        return FILLED_IN.get(found[1], found[2] or "")

    def filled(text: str) -> str:
        inner = re.sub(r"\$\{(\w+)\}", value_of_plain, text)
        return re.sub(r"\$\{(\w+):[-?]([^{}]*)\}", value, inner)

    def value_of_plain(found: re.Match[str]) -> str:
        return FILLED_IN[found[1]]

    return {name: filled(str(text)) for name, text in environment.items()}


@pytest.fixture(scope="module")
def host(podman, console, tmp_path_factory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    shutil.copy(ROOT / "deploy" / "make_secrets.sh", folder)
    manage = " ".join(podman.argv("run", "--rm", "--network=host", "--cgroups=disabled", console, "manage"))
    done = subprocess.run(
        ["sh", str(folder / "make_secrets.sh")],
        env={**os.environ, "AIRDECK_MANAGE": manage},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with _servers(folder / "secrets"):
        yield Host(podman, console, folder / "secrets")


@contextmanager
def _servers(secrets: Path) -> Iterator[None]:
    """Postgres and Valkey, at the addresses and with the passwords that the secrets name."""
    folder = Path(tempfile.mkdtemp(prefix="airdeck-servers-", dir="/tmp"))
    folder.chmod(0o711)
    state = StateDir(folder / "state")
    state.create()
    write_private(state.keys / "postgres_password", (secrets / "postgres_password").read_text())
    keys.ensure(state, has_data=False)
    postgres.prepare(state)
    config = folder / "valkey.conf"
    config.write_text((secrets / "valkey_conf").read_text())
    database = (
        *postgres.program(state, ()).argv,
        "-c",
        f"listen_addresses={HOSTS['postgres']}",
        "-c",
        "fsync=off",
    )
    messages = (str(redis_server.find_binary()), str(config), "--bind", HOSTS["valkey"], "--dir", str(folder))
    running = [subprocess.Popen(argv, cwd="/", env={"PATH": os.defpath}) for argv in (database, messages)]
    try:
        wait_until(lambda: _has_database((secrets / "database_url").read_text().strip()), 30)
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _has_database(url: str) -> bool:
    server = url.replace("@postgres/airdeck", f"@{HOSTS['postgres']}/postgres")
    try:
        with psycopg.connect(server, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'airdeck'").fetchone():
                connection.execute("CREATE DATABASE airdeck")
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def migrated(host) -> Host:
    with host.running("migrate") as migration:
        assert migration.ended().code == 0
    return host


def test_it_is_built_and_small(podman, console):
    size, layers = podman.layers(console)
    print(f"\nThe image has {size / 1e6:.0f} MB:")
    for bytes_, made_by in layers:
        print(f"  {bytes_ / 1e6:7.1f} MB  {' '.join(made_by.split())[:110]}")
    assert size < MOST_BYTES


def test_it_runs_as_its_own_user_without_pip_and_can_write_to_its_folder_alone(podman, console):
    script = (
        "import os, pathlib, importlib.util as u; print(os.getuid(), os.getgid(), u.find_spec('pip'))\n"
        "pathlib.Path('/tmp/a').write_text('a')\n"
        "for place in ('/airdeck/a', '/opt/airdeck/a', '/a', '/var/a'):\n"
        "    try: pathlib.Path(place).write_text('a')\n"
        "    except OSError as error: continue\n"
        "    print('wrote', place)"
    )
    options = ("run", "--rm", "--read-only", "--tmpfs=/tmp", "--network=host", "--cgroups=disabled")
    found = podman(*options, "--entrypoint=python", console, "-c", script)
    assert found == "10001 10001 None\n"


def test_the_migration_runs_twice_and_what_waits_for_it_is_told(host):
    for _ in range(2):
        with host.running("migrate") as migration:
            ended = migration.ended()
            assert ended.code == 0, ended.output
    with host.podman.running(host.image, "migrate", "--check", options=host.options("migrate")) as asking:
        assert asking.ended().code == 0


def test_its_checks_find_nothing_to_say(host):
    with host.podman.running(
        host.image, "check", "--fail-level=WARNING", options=host.options("migrate")
    ) as asking:
        ended = asking.ended()
        assert ended.code == 0, ended.output


@pytest.mark.parametrize("role", processes.ROLES)
def test_each_process_lives_on_a_root_that_cannot_be_written_and_ends_by_itself_within_its_grace(
    role, migrated
):
    with migrated.running(role, PORT=str(free_port())) as container:
        wait_until(container.is_alive, 60, container.logs, 0.2)
        ended = container.stop()
    print(f"\n{role} ended in {ended.seconds:.1f} s of {GRACES[role]}")
    assert ended.seconds < GRACES[role]
    assert ended.code in {0, 143}, ended.output
    assert "Traceback" not in ended.output


def test_a_process_that_was_killed_is_seen_and_starts_again(migrated):
    with migrated.running("worker") as container:
        wait_until(container.is_alive, 60, container.logs, 0.2)
        migrated.podman("kill", "--signal=KILL", container.identity)
        assert container.ended().code == 137
        migrated.podman("start", container.identity)
        wait_until(container.is_alive, 60, container.logs, 0.2)
    assert all(OURS[name]["restart"] == "unless-stopped" for name in processes.ROLES)


def test_a_cold_start_to_ready_takes_at_most_five_seconds_of_one_core(migrated):
    taken = []
    for _ in range(3):
        port = free_port()
        with migrated.running("web", cpu=0, PORT=str(port)) as web:
            wait_until(partial(_is_ready, port), 60, web.logs, 0.05)
            taken.append(time.monotonic() - web.started)
    print(f"\nFrom `run` to ready, on one core: {', '.join(f'{each:.1f}' for each in taken)} s")
    assert min(taken) <= COLD_START_SECONDS


def _is_ready(port: int) -> bool:
    return is_ready(f"http://127.0.0.1:{port}")


def test_people_reach_it_behind_a_proxy(migrated):
    port = free_port()
    with migrated.running("web", PORT=str(port)) as web:
        wait_until(lambda: _is_ready(port), 60, web.logs, 0.1)
        page = httpx.get(f"http://127.0.0.1:{port}/accounts/login/", headers=BEHIND_PROXY)
        assert page.status_code == 200
        (sheet, *_) = re.findall(r'href="(/static/[^"]+\.css)"', page.text)
        assert httpx.get(f"http://127.0.0.1:{port}{sheet}", headers=BEHIND_PROXY).status_code == 200
        made = web.run("python", "-m", "console.processes", "manage", "createsuperuser", "--help")
        assert made.returncode == 0, made.stderr


@pytest.mark.skipif(shutil.which("caddy") is None, reason="no caddy on PATH")
def test_people_reach_it_through_the_proxy_of_compose(migrated, tmp_path):
    """Its own command, but for a port of this machine and a certificate of its own making."""
    inner, outer = free_port(), free_port()
    name = FILLED_IN["AIRDECK_HOST"]
    command = COMPOSE["services"]["caddy"]["command"]
    given = {"${AIRDECK_HOST}": f"{name}:{outer}", "web:8000": f"127.0.0.1:{inner}"}
    argv = [*(given.get(word, word) for word in command), "--internal-certs"]
    homes = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PATH": os.defpath}
    with migrated.running("web", PORT=str(inner)) as web, (tmp_path / "caddy.log").open("w") as log:
        caddy = subprocess.Popen(argv, env=homes, stdout=log, stderr=log)
        try:
            wait_until(partial(_is_ready, inner), 60, web.logs, 0.1)
            told = ["curl", "--silent", "--insecure", "--include", "--max-time", "20"]
            told += ["--resolve", f"{name}:{outer}:127.0.0.1", f"https://{name}:{outer}/accounts/login/"]

            def answered() -> bool:
                return subprocess.run(told, capture_output=True, check=False).stdout.startswith(b"HTTP/2 200")

            wait_until(answered, 30, (tmp_path / "caddy.log").read_text, 0.5)
            page = subprocess.run(told, capture_output=True, text=True, check=True).stdout.lower()
            assert "strict-transport-security:" in page
            assert re.search(r"set-cookie: [^\n]*; secure", page)
        finally:
            caddy.terminate()
            caddy.wait(20)


def test_all_in_one_container_gets_an_airflow_healthy_and_keeps_what_people_made_in_its_volume(podman, base):
    name = podman.build("embedded", base)
    size, _ = podman.layers(name)
    port = free_port()
    options = [
        "--init",
        "--volume=airdeck:/state",
        f"--volume={image.BUNDLE}:{image.BUNDLE}:ro",
        *image.environment({"PORT": str(port), **image.network()}),
    ]
    visitor = Visit(f"http://127.0.0.1:{port}")
    ready, healthy = [], []
    place = ""
    for sign in (visitor.sign_up, visitor.sign_in):
        with podman.running(name, options=options) as everything:
            wait_until(lambda: "Airdeck is ready" in everything.logs(), 180, everything.logs, 0.2)
            ready.append(time.monotonic() - everything.started)
            wait_until(everything.is_alive, 30, everything.logs)
            sign()
            began = time.monotonic()
            place = place or visitor.create_deployment("First")
            visitor.wait_status(place, "Healthy", HEALTHY_SECONDS)
            wait_until(partial(_airflow_answers, port, place), 120, everything.logs)
            healthy.append(time.monotonic() - began)
            ended = everything.stop()
            assert ended.code == 0, ended.output
            assert ended.seconds < 30
        visitor.client.cookies.clear()
    visitor.client.close()
    print(
        f"\nEmbedded: {size / 1e6:.0f} MB; ready after {ready[0]:.1f} s, and {ready[1]:.1f} s the second time; "
        f"Create to Healthy {healthy[0]:.1f} s, and Healthy again {healthy[1]:.1f} s after the sign-in"
    )


def _airflow_answers(port: int, release: str) -> bool:
    """Whether its own API server answers under its own name, with a scheduler that it has heard of lately."""
    host = {"Host": f"{release}.localhost:{port}"}
    with contextlib.suppress(httpx.HTTPError, KeyError, ValueError):
        found = httpx.get(f"http://127.0.0.1:{port}/api/v2/monitor/health", headers=host, timeout=10).json()
        return bool(found["scheduler"]["status"] == "healthy")
    return False
