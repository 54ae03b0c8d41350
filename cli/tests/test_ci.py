"""The steps for CI hosts do what docs/ci.md says, as the host runs them."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deployments.models import Deploy
from tests.running import SOURCE

ROOT = SOURCE.parents[1]
ACTION = yaml.safe_load((ROOT / "deploy/ci/github/action.yml").read_text())
GITLAB = yaml.safe_load((ROOT / "deploy/ci/gitlab/airdeck.yml").read_text())[".airdeck-deploy"]


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def runner(tmp_path, airdeck):
    """A machine of a CI host: what installs only notes what it was asked for, and `airdeck` is there."""
    bin_ = tmp_path / "bin"
    program(bin_, "airdeck", f'PYTHONPATH={SOURCE} exec {sys.executable} -m airdeck_cli "$@"')
    for name in ("pipx", "pip"):
        program(bin_, name, f'echo "$@" >> {tmp_path}/installed')
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "one.py").write_text("x = 1\n")

    def run(script: str, **variables: str) -> subprocess.CompletedProcess:
        environment = {**airdeck.environment, **variables, "PATH": f"{bin_}:{os.environ['PATH']}"}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_github_and_gitlab_deploy_and_wait_and_a_second_time_change_nothing(
    runner, airdeck, deployment, reconciled, tmp_path
):
    name = deployment.release_name
    airdeck("wait", f"{name}.create.1")
    step = ACTION["runs"]["steps"][0]
    inputs = {key: each.get("default", "") for key, each in ACTION["inputs"].items()}
    inputs |= {"url": airdeck.environment["AIRDECK_URL"], "token": airdeck.environment["AIRDECK_TOKEN"]}
    inputs |= {"deployment": name, "description": 'x"; exit 3; echo "$(exit 4)'}
    variables = {
        key: inputs[re.fullmatch(r"\$\{\{ inputs\.(.+) \}\}", each)[1]] for key, each in step["env"].items()
    }
    host = {
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_ACTION_PATH": "/a/b/c",
    }
    done = runner(step["run"], **variables, **host)
    assert done.returncode == 0, done.stderr
    made = Deploy.objects.get()
    assert (made.status, made.description) == ("deployed", inputs["description"])
    assert (tmp_path / "output").read_text() == "changed=true\n"
    assert "install --quiet /a/b/c/../../../cli" in (tmp_path / "installed").read_text()

    script = "\n".join([*GITLAB["before_script"], *GITLAB["script"]])
    done = runner(script, **GITLAB["variables"], AIRDECK_CLI="airdeck-cli @ git+x", AIRDECK_DEPLOYMENT=name)
    assert done.returncode == 0, done.stderr
    assert "There is nothing to do." in done.stdout
    assert Deploy.objects.count() == 1
    (tmp_path / "dags" / "one.py").write_text("def broken(:\n")
    failed = runner(script, **GITLAB["variables"], AIRDECK_CLI="airdeck-cli", AIRDECK_DEPLOYMENT=name)
    assert failed.returncode == 1
    assert "one.py:1" in failed.stderr


def test_no_input_becomes_part_of_a_shell_s_text():
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]


def test_the_action_takes_the_command_line_of_its_own_version():
    path = (ROOT / "deploy/ci/github" / "../../../cli").resolve()
    assert (path / "pyproject.toml").is_file()
