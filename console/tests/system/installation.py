"""A real installation for tests and for `make bench`: `manage.py up` in a temporary state folder, driven over
HTTP as a person would, without JavaScript. Needs no Django here, and no settings.
"""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psycopg

from console.embedded import postgres, process_table, programs
from console.tests.forms import posted_forms
from deployments.dataplane.local import ports
from deployments.dataplane.local.runtimes.runtimes import NETWORK_VARIABLES
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import Supervisor

EMAIL = "ada@example.org"
PASSWORD = "correct horse battery"
UP = (sys.executable, "manage.py", "up")
START_SECONDS = 120  # what `up` itself allows for the first page
STOP_SECONDS = 30  # `up` promises 20

# Ports that nobody else is given between the moment at which one is chosen and that at which somebody listens there,
# which may be seconds: below those that Linux gives to whoever asks for any, below those of Airflows, and for each
# process of a test run others.
_FIRST = 10_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = (_FIRST + (os.getpid() + number) % 1_000 for number in itertools.count())


class Installation:
    """One state folder on one free port. `with Installation() as it:` starts it, and leaves nothing behind."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="airdeck-it-", dir="/tmp"))
        folder.chmod(0o711)  # so that also for root all of Postgres lies in it
        self.state = StateDir(folder / "state")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self.supervisor = Supervisor(self.state.supervisor_socket)
        self.up: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- Its life --

    def start(self, argv: Sequence[str] = UP, environment: Mapping[str, str] | None = None) -> None:
        """Start and wait for the line that says the address. `argv` may be ("make", "run")."""
        self.spawn(argv, environment)
        wait_until(self.printed_ready, START_SECONDS, self._words)

    def spawn(self, argv: Sequence[str] = UP, environment: Mapping[str, str] | None = None) -> None:
        """Start, and wait for nothing. What it says goes to `output`."""
        assert not self.alive, "it runs already"
        with self.output.open("w") as out:
            self.up = subprocess.Popen(
                argv,
                cwd=programs.BASE,
                env={**self._plain_environment(), **(environment or {})},
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def stop(self) -> float:
        """Stop in order and return the seconds it took. Fails when a process is left or it took too long."""
        assert self.up is not None
        begun = time.monotonic()
        os.kill(int(self.state.lock_file.read_text()), signal.SIGTERM)  # `up` itself, also below a `make run`
        try:
            code = self.up.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not stopped after {STOP_SECONDS} s: {self._words()}") from None
        taken = time.monotonic() - begun
        left = [process.pid for process in process_table.processes(self.state.root)]
        assert (code, left) == (0, []), f"exit code {code}, left {left}: {self._words()}"
        return taken

    def close(self) -> None:
        """End whatever runs and remove the folder, also after a failure."""
        self.client.close()
        try:
            if self.alive:
                self.stop()
        finally:
            if self.up is not None and self.up.poll() is None:
                self.up.kill()
                self.up.wait()
            process_table.end(self.state.root)
            shutil.rmtree(self.state.root.parent, ignore_errors=True)

    @property
    def alive(self) -> bool:
        """Whether `up` runs."""
        return self.up is not None and self.up.poll() is None

    @property
    def output(self) -> Path:
        """What `up` said."""
        return self.state.root.parent / "up.log"

    def printed_ready(self) -> bool:
        assert self.alive, f"it ended at start: {self._words()}"
        return f"Airdeck is ready: {self.url}\n" in self.output.read_text()

    def answers(self) -> bool:
        """Whether the sign-in page is answered with 200 within five seconds."""
        try:
            answer = self.client.get("/accounts/login/", follow_redirects=True, timeout=5)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    def wait_answer(self, seconds: float) -> None:
        """Wait until the console answers."""
        wait_until(self.answers, seconds, self.last_words, every=0.2)

    def last_words(self) -> str:
        """The state of every program, and what web and worker said last: for the message of a failure."""
        states = [f"{p.full_name} {p.state} since {p.now - p.started} s" for p in self.supervisor.processes()]
        logs = [self.state.logs / f"{program}.log" for program in ("web", "worker", "supervisord")]
        message = [f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in logs if log.exists()]
        return "\n".join([*states, *message])

    def _words(self) -> str:
        return self.output.read_text()[-2000:] if self.output.exists() else "nothing"

    def _plain_environment(self) -> dict[str, str]:
        """That of a person's shell, without what a test run put into ours. Downloads are kept between runs."""
        kept = {
            n: v for n, v in os.environ.items() if n in {"PATH", "HOME"} or NETWORK_VARIABLES.fullmatch(n)
        }
        kept.setdefault("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
        kept["CLUSTER_ADDRESSES"] = "127.0.0.1"  # where the bench plays a cluster
        return {**kept, "STATE_DIR": str(self.state.root), "PORT": str(self.port)}

    # -- What a person does --

    def filled(self, path: str, values: Mapping[str, str], *, form: str = "") -> tuple[str, dict[str, str]]:
        """Load the page and fill `values` into its form: (where to post, all fields as a browser has them).

        `form` is the action of the form that is meant; the first posted one in the page's main part otherwise.
        """
        page = self.client.get(path).raise_for_status().text
        forms = posted_forms(page[page.index("<main") :])
        action, fields = next((f for f in forms if not form or f[0] == form), ("", {}))
        unknown = set(values) - set(fields)
        assert fields, f"no form on {path}"
        assert not unknown, f"the form on {path} has no {unknown}, but {sorted(fields)}"
        return action or path, {**fields, **values}

    def submit(self, path: str, values: Mapping[str, str], *, form: str = "") -> httpx.Response:
        """Fill in a page's form and press its button, without following the answer's redirect."""
        action, fields = self.filled(path, values, form=form)
        return self.client.post(action, data=fields, headers={"Origin": self.url})

    def sign_up(self, email: str = EMAIL, password: str = PASSWORD) -> str:
        """Create an account, which stays signed in here. Returns the path of its Workspace's Deployments."""
        answer = self.submit("/accounts/signup/", {"email": email, "password1": password})
        assert answer.status_code == 302, answer.text
        return self.home()

    def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> str:
        """Sign in to an account that exists. Returns the path of its Workspace's Deployments."""
        answer = self.submit("/accounts/login/", {"login": email, "password": password})
        assert answer.status_code == 302, answer.text
        return self.home()

    def come_back(self) -> None:
        """Sign in anew as the first person: an installation may have been left in any state, or in none."""
        with self.database() as database:
            people = database.execute("SELECT 1 FROM workspaces_user LIMIT 1").fetchone()
        self.client.cookies.clear()
        self.sign_in() if people else self.sign_up()

    def confirm(self, path: str, password: str = PASSWORD) -> None:
        """Go to a page that first asks who one is, and say it: the way leads back to that page."""
        asked = self.client.get(path)
        assert asked.status_code == 302, asked.text
        assert asked.headers["location"].startswith("/accounts/reauthenticate/"), asked.headers
        answer = self.submit(asked.headers["location"], {"password": password})
        assert (answer.status_code, answer.headers["location"]) == (302, path), answer.text

    def home(self) -> str:
        """The path to which a signed-in person is led."""
        return self.client.get("/", follow_redirects=True).raise_for_status().url.path

    def workspace(self) -> str:
        """The path of the Home of that person's Workspace."""
        return self.home().removesuffix("deployments/")

    def create_deployment(self, name: str, **values: str) -> str:
        """Press Create Deployment with the form's defaults but for `values`. Returns the release name."""
        answer = self.submit(f"{self.home()}new/", {"name": name, **values})
        assert answer.status_code == 303, answer.text
        return str(httpx.URL(answer.headers["location"]).path).strip("/").split("/")[-1]

    def airflow_token(self, release_name: str) -> str:
        """A token for its Airflow's API, made on the page for that."""
        page = self.submit(f"/deployments/{release_name}/airflow-token/", {"minutes": "30"})
        return re.findall(r'data-copy="(eyJ[^"]+)"', page.raise_for_status().text)[0]

    def colleague(self, email: str, role: str) -> None:
        """A further account, with the password of the first one, in its Workspace: copies of its rows."""
        user = self._copied("workspaces_user", email=email, name=email.partition("@")[0])
        self._copied("workspaces_membership", user_id=user, role=role)

    def _copied(self, table: str, **changes: str | int) -> int:
        with self.database() as database:
            found = database.execute(f"SELECT to_jsonb(t) FROM {table} t ORDER BY id LIMIT 1").fetchone()
            number = database.execute(f"SELECT nextval(pg_get_serial_sequence('{table}', 'id'))").fetchone()
            assert found
            assert number
            row = json.dumps({**found[0], **changes, "id": number[0]})
            database.execute(
                f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, %s)", [row]
            )
        return int(number[0])

    def delete_deployment(self, release_name: str, name: str) -> None:
        """Ask for it to go, by typing its name."""
        answer = self.submit(f"/deployments/{release_name}/delete/", {"confirm": name})
        assert answer.status_code == 303, answer.text

    def status(self, release_name: str) -> str:
        """The word on the badge of the Deployment's page, such as "Healthy"."""
        page = self.client.get(f"/deployments/{release_name}/").raise_for_status().text
        head = page[page.index('id="badge-') :]
        badge = head[head.index('class="badge"') :]
        return re.sub(r"<svg.*?</svg>", "", badge[badge.index(">") + 1 : badge.index("</span>")]).strip()

    def wait_status(self, release_name: str, word: str, seconds: float = 180) -> float:
        """Wait until the page's badge says `word`. Returns the seconds it took."""
        begun = time.monotonic()
        wait_until(lambda: self.status(release_name) == word, seconds, lambda: self.story(release_name), 0.5)
        return time.monotonic() - begun

    def story(self, release_name: str) -> str:
        """The Deployment's page as text: for the message of a failure."""
        page = self.client.get(f"/deployments/{release_name}/").text
        text = re.sub(r"<svg.*?</svg>|<[^>]+>", " ", page[page.index("<main") :], flags=re.DOTALL)
        return " ".join(text.split())[:3000]

    # -- What only a test looks at --

    def database(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection to the console's own database, in autocommit."""
        return psycopg.connect(postgres.url(self.state), autocommit=True)

    def pid(self, group: str) -> int:
        """The process of one of the console's programs ("web", "worker", "beat", "observer", …)."""
        return next(process.pid for process in self.supervisor.processes() if process.group == group)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now, and that no other call is given soon."""
    return next(port for port in _PORTS if ports.bindable(port))


def is_ready(url: str) -> bool:
    """Whether the web process at this address answers that it is ready."""
    try:
        return httpx.get(f"{url}/-/ready/", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(
    condition: Callable[[], bool], seconds: float, story: Callable[[], str] = str, every: float = 0.05
) -> None:
    """Until `condition()` holds. Fails with `story()` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
            raise AssertionError(f"it did not happen within {seconds:.0f} s ({load}): {story()}")
        time.sleep(every)
