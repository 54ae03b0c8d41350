"""docs/install.md is pasted: what it names is there, and what it has written is taken."""

import re
from pathlib import Path

import yaml

from console import processes
from console.tests import chart
from console.tests.test_compose import COMPOSE

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


def test_its_values_make_a_console_in_its_own_cluster():
    (text,) = re.findall(r"cat > airdeck\.yaml <<'END'\n(.*?)\n +END", TEXT, re.DOTALL)
    kinds = [each["kind"] for each in chart.rendered(yaml.safe_load(text))]
    assert {"Ingress", "ClusterRoleBinding", "Job"} <= set(kinds)


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
