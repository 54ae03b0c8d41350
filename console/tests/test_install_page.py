"""docs/install.md is pasted: what it names is there, and what it has written is taken."""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from console import __version__, environment, processes
from console.tests import chart
from console.tests.test_compose import COMPOSE
from deployments.dataplane.kubernetes.rbac import rules
from deployments.dataplane.postgres.server_url import ServerUrl

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "install.md").read_text()


def test_every_file_that_it_names_is_there():
    named = set(re.findall(r"\bdeploy/[\w./-]+\w", TEXT)) - {"deploy/airdeck-worker"}
    made = {
        name
        for name in named
        if name.startswith(("deploy/secrets", "deploy/airdeck.env")) and "example" not in name
    }
    assert [name for name in sorted(named - made) if not (ROOT / name).exists()] == []
    ignored = (ROOT / ".gitignore").read_text()
    assert {"deploy/secrets/", "deploy/airdeck.env"} <= set(ignored.split())


def pasted_values() -> chart.Values:
    (text,) = re.findall(r"cat > airdeck\.yaml <<'END'\n(.*?)\n +END", TEXT, re.DOTALL)
    return yaml.safe_load(text)


def test_its_values_make_a_console_in_its_own_cluster_that_knows_it_and_takes_no_strangers():
    objects = chart.rendered(pasted_values())
    assert {"Ingress", "ClusterRoleBinding"} <= {each["kind"] for each in objects}
    names = [each["metadata"]["name"] for each in objects if each["kind"] == "Job"]
    assert [name.rpartition("-")[0] for name in names] == ["airdeck-migrate", "airdeck-register"]
    assert pasted_values()["env"] == {"OPEN_SIGNUP": "false"}


def test_its_secret_has_every_key_that_the_processes_read():
    objects = chart.rendered(pasted_values())
    read = set(re.findall(r"/etc/airdeck/([A-Z_]+)", str(objects)))
    (pasted,) = re.findall(r"cat >> airdeck\.keys <<'END'\n(.*?)\n +END", TEXT, re.DOTALL)
    made = {"SECRET_KEY", "ENCRYPTION_KEYS"}  # by make_keys: test_processes
    assert {line.split("=")[0].strip() for line in pasted.splitlines()} | made == read
    for url in re.findall(r"=(postgresql://\S+)", pasted):
        role = environment.database_url(url)["USER"]
        assert re.search(rf"^ +CREATE ROLE {role} LOGIN", TEXT, re.MULTILINE)


def test_the_image_that_is_pushed_is_the_one_that_the_chart_asks_for():
    assert set(re.findall(r"example\.org/airdeck:(\S+)", TEXT)) == {__version__}


def test_what_helm_leaves_is_removed_by_the_names_that_it_has():
    (named,) = re.findall(r"`kubectl delete clusterrole (.+?)`", TEXT)
    assert named.split() == list(rules.DELEGATED_ROLES)


def test_the_steps_of_a_cluster_are_counted_without_a_gap():
    part = TEXT.partition("## A cluster\n")[2].partition("### ")[0]
    assert re.findall(r"^(\d)\. ", part, re.MULTILINE) == [str(number) for number in range(1, 9)]


def test_the_image_has_the_targets_and_words_that_it_names():
    targets = set(re.findall(r"--target (\w+)", TEXT))
    stages = re.findall(
        r"^FROM \S+ AS (\S+)", (ROOT / "deploy" / "image" / "Containerfile").read_text(), re.MULTILINE
    )
    assert targets == {"console", "embedded"}
    assert targets <= set(stages)
    assert set(re.findall(r"console\.processes (\w+)", TEXT)) <= {*processes.ROLES, *processes.COMMANDS}
    assert "web" in COMPOSE["services"]


def test_what_is_copied_into_the_image_is_let_in_and_no_state_is():
    let_in = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = re.findall(
        r"^COPY (?!--)(.+) \S+$", (ROOT / "deploy" / "image" / "Containerfile").read_text(), re.MULTILINE
    )
    assert {name for line in copied for name in line.split()} == let_in
    assert all((ROOT / name).exists() for name in let_in)
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def pasted(file: Path) -> list[str]:
    """The blocks of code as a page shows them, which is what people copy."""
    tokens = MarkdownIt().parse(file.read_text())
    return [token.content for token in tokens if token.type in {"code_block", "fence"}]


@pytest.mark.parametrize(
    "file", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda f: f.name
)
def test_what_is_copied_begins_at_its_first_letter_so_that_a_here_document_ends(file):
    """A blank more than the list's own stays in the text, and " END" ends nothing."""
    for block in pasted(file):
        assert not block.startswith(" "), block
        for word in re.findall(r"<<-?'?(\w+)'?", block):
            assert word in block.splitlines(), block


SHIMS = {
    "docker": """exec {python} {root}/manage.py "${{@:5}}" """,  # run --rm airdeck manage …
    "kubectl": """case "$*" in *secret*) exec {kubectl} "$@" --dry-run=client --output json ;; esac""",
}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH")
def test_its_secret_as_it_is_pasted_is_one_with_which_a_console_starts(tmp_path):
    for name, text in SHIMS.items():
        shim = text.format(python=sys.executable, root=ROOT, kubectl=shutil.which("kubectl"))
        (tmp_path / name).write_text(f"#!/bin/bash\n{shim}\n")
        (tmp_path / name).chmod(0o755)
    (block,) = (each for each in pasted(ROOT / "docs" / "install.md") if "airdeck.keys" in each)
    done = subprocess.run(
        ["bash", "-eu"],
        input=block,
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "STATE_DIR": str(tmp_path / "state"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    data = {key: b64decode(value).decode() for key, value in json.loads(done.stdout)["data"].items()}
    assert len(environment.secret_key(data["SECRET_KEY"])) >= 50
    assert len(environment.encryption_keys(data["ENCRYPTION_KEYS"])) == 1
    assert environment.database_url(data["DATABASE_URL"])["NAME"] == "airdeck"
    assert environment.redis_url(data["REDIS_URL"])
    assert ServerUrl.of(data["CLUSTER_DATABASE_URL"])
    assert (tmp_path / "airdeck.keys").stat().st_mode & 0o777 == 0o600
