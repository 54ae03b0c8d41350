"""An update from the release before to this one, both as they are: its processes go on with this one's tables, beside
this one's own, while people work.

`test_migrations_beside.py` compares tables column by column and sees what no click here touches; `test_rolling.py`
replaces a process under load. Here the code of the release before itself runs, out of this repository's history.
"""

import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from console.celery import app
from console.embedded import postgres
from console.tests import services
from console.tests.system.installation import Installation, free_port, is_ready, wait_until
from console.tests.test_migrations_beside import BEFORE
from deployments import enqueue

NOW = Path(__file__).resolve().parents[3]
# The release before this one. Raise it with BEFORE, whose migrations are its last. Until 0.1.0 is released there is
# none; this commit of main stands in for it.
PREVIOUS = "655a7df774f711673fb86432fbe338f0faaaf070"
DATABASE = "previous_release"
REQUESTS, PEOPLE = 200, 3
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{token: not-a-secret}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""


@dataclass(frozen=True)
class Code:
    """A release, whose processes run on the one database of this story."""

    root: Path
    state: Path

    def environment(self, **more: str) -> dict[str, str]:
        """As in production, with the test run's keys."""
        return {
            **os.environ,
            "DATABASE_URL": postgres.url(services.STATE, DATABASE),
            "STATIC_ROOT": str(self.root / "static-of-test")
            if self.root != NOW
            else str(self.state / "static"),
            "STATE_DIR": str(self.state),
            "BASE_URL": "http://127.0.0.1",
            **more,
        }

    def run(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """`docker run airdeck ARGUMENTS` of that release."""
        argv = (sys.executable, "-m", "console.processes", *arguments)
        return subprocess.run(
            argv,
            cwd=self.root,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def process(self, role: str, **environment: str) -> Iterator[Path]:
        """One of its processes; its log. It must end by itself when asked, and have logged no traceback."""
        log = self.state / f"{role}-{self.root.name}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "console.processes", role],
                cwd=self.root,
                env=self.environment(**environment),
                stdout=out,
                stderr=out,
            )
        try:
            yield log
            process.terminate()
            assert process.wait(30) in {0, -signal.SIGTERM}, log.read_text()
        finally:
            process.kill()
            process.wait()
        assert "Traceback" not in log.read_text(), log.read_text()

    @contextmanager
    def web(self) -> Iterator[str]:
        """A web process that answers; its address."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with self.process("web", PORT=str(port)) as log:
            wait_until(lambda: is_ready(url), 60, log.read_text, 0.1)
            yield url


class Person(Installation):
    """Works in a browser, while what is in front of the web processes leads each request to the next one."""

    def __init__(self, urls: list[str]) -> None:
        self._urls, self._turn = urls, 0
        self.answers_seen: Counter[str] = Counter()
        self.client = httpx.Client(timeout=20, event_hooks={"response": [self._count]})
        self._move_on()

    def _count(self, answer: httpx.Response) -> None:
        self.answers_seen[f"{answer.status_code // 100}xx"] += 1
        if answer.status_code >= 400:
            self.answers_seen[f"{answer.request.method} {answer.request.url.path}: {answer.status_code}"] += 1

    def _move_on(self) -> None:
        self.url = self._urls[self._turn % len(self._urls)]
        self.client.base_url = httpx.URL(self.url)
        self._turn += 1

    def submit(self, path, values, *, form=""):
        """The page of one process, sent to the next one."""
        action, fields = self.filled(path, values, form=form)
        self._move_on()
        return self.client.post(action, data=fields, headers={"Origin": self.url})

    def begin(self, email: str) -> None:
        """An account, and a first Deployment."""
        self.list = self.sign_up(email)
        self.releases = [self.create_deployment("First")]

    def click(self, number: int) -> None:
        """Look, create or change something; what was answered is in `answers_seen`."""
        release = self.releases[-1]
        if number % 20 == 0:
            self.releases.append(self.create_deployment(f"Number {number}"))
        elif number % 20 == 10:
            self.submit(f"/deployments/{self.releases[0]}/edit/", {"description": f"Changed by {number}"})
        else:
            paths = (self.list, f"/deployments/{release}/", f"/deployments/{release}/variables/")
            self.client.get(paths[number % 3])
        self._move_on()


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Code:
    """The code of the release before, out of git."""
    done = subprocess.run(("git", "archive", PREVIOUS), cwd=NOW, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"This clone does not have {PREVIOUS[:12]}, the release before: fetch the whole history.")
    root = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(root, filter="data")
    return Code(root, tmp_path_factory.mktemp("before-state"))


@pytest.fixture
def now(tmp_path) -> Code:
    """This checkout."""
    return Code(NOW, tmp_path)


@pytest.fixture
def database() -> Iterator[psycopg.Connection]:
    """An empty one for this story."""
    url = postgres.url(services.STATE, "postgres")
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {DATABASE}")
        try:
            with psycopg.connect(postgres.url(services.STATE, DATABASE), autocommit=True) as connection:
                yield connection
        finally:
            server.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def test_the_release_before_is_the_one_whose_tables_are_compared(before):
    for owner, name in BEFORE.items():
        migrations = sorted(file.stem for file in (before.root / owner / "migrations").glob("[0-9]*.py"))
        assert migrations[-1] == name


def test_people_work_while_processes_of_the_release_before_and_of_this_one_share_the_new_tables(
    before, now, database
):
    _installed(before, database)
    for code in (before, now):
        done = code.run("manage", "collectstatic", "--no-input", "-v0")
        assert done.returncode == 0, done.stderr
    with ExitStack() as running:
        urls = [running.enter_context(before.web())]
        people = [Person(urls) for _ in range(PEOPLE)]
        for number, person in enumerate(people):
            person.begin(f"person-{number}@example.org")
        database.execute("UPDATE deployments_deployment SET status = 'healthy', first_healthy_at = now()")
        updated = threading.Event()
        with ThreadPoolExecutor(PEOPLE) as hands:
            working = [hands.submit(_work_until, updated, person) for person in people]
            try:
                _updated(before, now)
                urls.append(running.enter_context(now.web()))
                _passes(before, database)
            finally:
                updated.set()
            for one in working:
                one.result(120)
            for person in people:
                person.client.close()
    seen = sum((person.answers_seen for person in people), Counter())
    assert set(seen) <= {"2xx", "3xx"}, seen
    assert seen.total() >= REQUESTS


def _work_until(updated: threading.Event, person: Person) -> None:
    number = 0
    while number < REQUESTS // PEOPLE or not updated.is_set():
        person.click(number := number + 1)


def _installed(before: Code, database: psycopg.Connection) -> None:
    """As the release before left it, with a cluster that does not answer and is taken for sound."""
    done = before.run("migrate")
    assert done.returncode == 0, done.stderr
    kubeconfig = before.state / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.format(port=free_port()))
    url = postgres.url(services.STATE, "postgres")
    done = before.run(
        "manage",
        "register_cluster",
        "Production",
        "--kubeconfig",
        str(kubeconfig),
        "--database-url",
        "-",
        stdin=url,
    )
    assert "is registered" in done.stdout, done.stderr
    database.execute("UPDATE deployments_cluster SET checked_at = now(), checks = '[]'")


def _updated(before: Code, now: Code) -> None:
    """The migration runs while people work; this release's processes wait for it, and those of the one before need
    not."""
    new = {file.name for app in BEFORE for file in (NOW / app / "migrations").glob("[0-9]*.py")}
    old = {file.name for app in BEFORE for file in (before.root / app / "migrations").glob("[0-9]*.py")}
    if new - old:
        assert now.run("migrate", "--check").returncode == 1
    done = now.run("migrate")
    assert done.returncode == 0, done.stderr


def _passes(before: Code, database: psycopg.Connection) -> None:
    """Its worker goes on too: each row is looked at, and says that its cluster does not answer."""
    asked = "UPDATE deployments_deployment SET due_at = now(), failures = 0 RETURNING id"
    rows = [row for (row,) in database.execute(asked)]
    left = "SELECT count(*) FROM deployments_deployment WHERE failures = 0 AND id = ANY(%s)"
    with before.process("worker") as log:
        for row in rows:
            app.send_task(
                enqueue.RECONCILE, args=(str(row),), queue="celery"
            )  # from which every release takes
        wait_until(lambda: database.execute(left, [rows]).fetchone() == (0,), 120, log.read_text, 0.2)
