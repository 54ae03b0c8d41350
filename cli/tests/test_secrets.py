"""No secret value in what the command line prints, in files that it writes, in arguments of processes that it starts,
in what the console logs and stores of it. Marked values go in by every way there is, and come out where they must: a
new token on standard output, a sign-in in the file of contexts."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from django.core.cache import cache

from conftest import PASSWORD
from console.tests.leaks import Collector, everything_logged, leaks, read_database
from deployments.models import Deployment
from deployments.secrets import vault
from tests.running import SOURCE, Airdeck, Terminal
from workspaces.pages import devices

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]

PLAIN = "plainmark31337"  # must be found: what finds nothing proves nothing
SECRETS = {
    way: f"canary{number}x{way}q7f3"
    for number, way in enumerate(
        (
            "filled",
            "written",
            "typed",
            "loaded",
            "refused",
            "mistyped",
            "remote",
            "dotenv",
            "followed",
            "posted",
        )
    )
}
# Notes down every process that the command line starts and every file that it opens for writing.
HOOK = """
import os, sys
handle = os.open(os.environ["AUDITED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(event, arguments):
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        line = "process " + repr(arguments[:2])
    elif event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        line = "file " + os.fsdecode(arguments[0])
    else:
        return
    os.write(handle, (line + chr(10)).encode())
sys.addaudithook(note)
"""
FILE = f"""
deployment:
  configuration: {{name: Analytics, description: {PLAIN}}}
  environment_variables:
    - {{key: FILLED, value: "${{FILLED}}", is_secret: true}}
    - {{key: WRITTEN, value: {SECRETS["written"]}, is_secret: true}}
"""
WRONG = FILE.replace("WRITTEN,", "NOT-A-KEY,").replace("is_secret: true}}", "secret: 1}}")


class Watched:
    """Commands whose every trace is kept."""

    def __init__(self, home: Path, collector: Collector, console: str) -> None:
        self.collector, self.audited = collector, home / "audited"
        (home / "hooks").mkdir()
        (home / "hooks" / "sitecustomize.py").write_text(HOOK)
        path = f"{SOURCE}:{home / 'hooks'}"
        self.at = Airdeck(home, PYTHONPATH=path, AUDITED=str(self.audited), FILLED=SECRETS["filled"])
        self.console = console

    def __call__(self, *words: str, code: int = 0, text: str | None = None, keep: bool = True, **more):
        done = self.at("--debug", *words, code=code, text=text, **more)
        self.collector.add(f"said by {words[0]}", f"{done.out if keep else ''}\n{done.err}")
        return done

    def sign_in(self, browser) -> str:
        terminal = Terminal(self.at, "--debug", "login", self.console, "--no-browser")
        code = re.search("code=([A-Z-]{9})", terminal.read_until("code=[A-Z-]{9}"))[1]
        assert browser.post(f"/device/?code={code}", {"answer": "yes"}).status_code == 303
        self.collector.add("said by login", terminal.end(0) + terminal.told)
        return json.loads((self.at.home / "config" / "contexts.json").read_text())["contexts"].popitem()[1][
            "token"
        ]


@pytest.fixture
def person(as_, alice, settings, served, workspace, cluster):
    settings.IDP_OIDC_DEVICE_CODE_INTERVAL = 0
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    cache.clear()
    devices.buckets.clear()
    client = as_(alice)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def project(home: Path) -> None:
    """A project with secrets where people leave them: a .env beside the code, a password in Git's remote."""
    folder = home / "project"
    (folder / "dags").mkdir(parents=True)
    (folder / "dags" / "one.py").write_text(f"x = '{PLAIN}'\n")
    for place in (folder, folder / "dags"):
        (place / ".env").write_text(f"KEY={SECRETS['dotenv']}\n")
    remote = f"https://me:{SECRETS['remote']}@git.example.org/a.git"
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    for words in (
        ("init", "-q"),
        ("add", "."),
        (*who, "commit", "-qm", PLAIN),
        ("remote", "add", "origin", remote),
    ):
        subprocess.run(["git", "-C", str(folder), *words], check=True)


def test_no_secret_leaves_the_command_line_but_where_it_must(person, served, reconciled, tmp_path):
    collector = Collector()
    run = Watched(tmp_path, collector, served)
    project(tmp_path)
    (tmp_path / "d.yaml").write_text(FILE)
    (tmp_path / "wrong.yaml").write_text(WRONG)
    with everything_logged(collector, sql=False):
        tokens = {"sign-in": run.sign_in(person)}
        run("deployment", "apply", "-f", "wrong.yaml", "--env", "--yes", code=2)
        run("deployment", "apply", "-f", "d.yaml", "--env", "--yes", "--wait")
        at = ("-d", "Analytics")
        run("deployment", "variable", "set", "TYPED", "-s", *at, "-w", text=SECRETS["typed"])
        run("deployment", "variable", "set", "TYPED", "-s", *at, code=2, text=f"{SECRETS['refused']}\x07")
        loaded = f"LOADED={SECRETS['loaded']}\n"
        wrong = f"{loaded}PATH={SECRETS['mistyped']}\n{SECRETS['mistyped']}\nA-B={SECRETS['mistyped']}\n"
        run("deployment", "variable", "set", "-s", "--load", "-e", "-", *at, code=2, text=wrong)
        run("deployment", "variable", "set", "-s", "--load", "-e", "-", *at, "-w", text=loaded)
        run("deployment", "variable", "list", *at, "-o", "json")
        run("whoami", "-o", "yaml")
        run("deployment", "variable", "list", *at, "--save", "--env", "saved.env")
        run("deployment", "inspect", "Analytics")
        run("api", "GET", "/deployments")
        run("deploy", "project", *at, "--wait")
        run("deploys", "list", "Analytics", "-o", "json")
        git = f"https://git.example.org/{PLAIN}.git"
        run("git", "connect", git, "--token-stdin", *at, text=SECRETS["followed"])
        run("git", "connect", "--branch", "a b", "--token-stdin", *at, code=2, text=SECRETS["mistyped"])
        run("git", "show", "Analytics", "-o", "json")
        tokens["webhook"] = make_a_webhook(run)
        made = run("token", "create", "-n", "CI", *at, keep=False).out.strip()
        tokens["made"] = run("token", "rotate", "CI", "--yes", *at, "-o", "json", keep=False).json["value"]
        tokens["before"] = made
        run("token", "list", *at, "-o", "json")
        run("context", "list", "-o", "json")
        run("whoami", code=6, environment={"AIRDECK_URL": "http://127.0.0.1:9", "AIRDECK_TOKEN": made})
        run("whoami", code=3, environment={"AIRDECK_URL": served, "AIRDECK_TOKEN": made})
        run("logout")
        assert run("whoami", code=3).err.startswith("No console is known.")
    read_database(collector)
    written = read_what_was_written(run, collector)

    found = {
        (place, name) for place in collector.found for name in leaks(collector.all(place), SECRETS | tokens)
    }
    assert found == set()
    stored = {row.key: vault.open_variable(row) for row in Deployment.objects.get().variables.all()}
    assert stored == {each: SECRETS[each.lower()] for each in ("FILLED", "WRITTEN", "TYPED", "LOADED")}
    assert vault.open_git(Deployment.objects.get())[vault.GIT_TOKEN] == SECRETS["followed"]
    for place in (
        "said by deployment",
        "said by deploys",
        "said by git",
        "said by alert",
        "file",
        "table deployments_deploy",
    ):
        assert PLAIN in collector.all(place), place
    assert "POST /api/v1/deployments/" in collector.all("log")
    assert "'rev-parse', 'HEAD'" in collector.all("process")
    assert "git.example.org/a.git" in collector.all("table deployments_deploy")
    assert {"contexts.json", "saved.env"} <= {path.name for path in written}


def make_a_webhook(run: Watched) -> str:
    """A channel of alerts; the secret of its webhook."""
    create = ("alert", "channel", "create", PLAIN, "--kind", "webhook", "--url-stdin")
    made = run(*create, text=f"https://hooks.example.org/{SECRETS['posted']}\n", keep=False)
    run(
        "alert", "channel", "update", PLAIN, "--url-stdin", code=2, text=f"http://x.org/{SECRETS['mistyped']}"
    )
    run("alert", "channel", "list", "-o", "json")
    return made.out.strip()


def read_what_was_written(run: Watched, collector: Collector) -> set[Path]:
    """Every argument of a process that was started, every file that was written and still is; contexts and the saved
    variables have to exist for their owner alone."""
    written: set[Path] = set()
    for line in run.audited.read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "process":
            collector.add("process", rest)
            continue
        path = run.at.home / rest
        written.add(path.with_name("contexts.json") if path.name.startswith(".contexts.") else path)
    for path in run.at.home.rglob("*"):
        if path.is_file() and (path in written or "project" in path.parts) and path.name != ".env":
            text = path.read_bytes().decode(errors="replace")
            collector.add("file", text if ".git" not in path.parts else "")
            if path.name in {"contexts.json", "saved.env"}:
                assert path.stat().st_mode & 0o777 == 0o600
    return written
