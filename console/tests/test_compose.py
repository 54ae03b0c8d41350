"""deploy/compose.yaml and the secrets that its script makes: what they name is there, and the console takes it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from console import environment, processes
from console.tests import chart
from console.tests.test_chart import GRACES, SETTINGS
from console.tests.test_environment import settings_of

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
YOURS = {"email_password", "oidc_client_secret", "identity_key"}  # which the script leaves empty
EXAMPLE = (ROOT / "deploy" / "airdeck.env.example").read_text()
OURS = {name: service for name, service in COMPOSE["services"].items() if "AIRDECK_IMAGE" in service["image"]}


def test_every_process_of_the_console_is_there_and_gets_its_grace():
    assert set(OURS) == {*processes.ROLES, "migrate"}
    for name, service in OURS.items():
        assert service["command"] == [name]
    graces = {name: service.get("stop_grace_period") for name, service in OURS.items() if name in GRACES}
    assert graces == {name: f"{grace}s" for name, grace in GRACES.items()}


def test_the_console_is_told_settings_that_exist_and_no_secret():
    for service in OURS.values():
        names = set(service["environment"])
        assert {name.removesuffix("_FILE") for name in names} <= SETTINGS
        assert not names & {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "EMAIL_PASSWORD"}


def test_every_setting_that_the_proxy_does_not_decide_can_be_a_line_of_the_one_file():
    """What stands in `environment` counts before the file; of that only what repeats the file's own line may."""
    for service in OURS.values():
        assert service["env_file"] == ["airdeck.env"]
        told = {name: str(value) for name, value in service["environment"].items()}
        fixed = {name for name, value in told.items() if f"${{{name}:" not in value}
        decided = {"ALLOWED_HOSTS", "TRUSTED_PROXY_COUNT", "METRICS_ADDRESS", "PORT"}
        assert {name for name in fixed if not name.endswith("_FILE")} == decided
        assert all(name in EXAMPLE.partition("AIRDECK_HOST=")[0] for name in decided)


def test_no_log_grows_for_ever_and_each_process_of_ours_has_the_memory_that_the_chart_gives_it():
    for service in COMPOSE["services"].values():
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text())
    values["migrate"] = values["migration"]
    for name, service in OURS.items():
        limit = values[name]["resources"]["limits"]["memory"]
        assert service["mem_limit"] == limit.removesuffix("i").lower()


def test_every_secret_is_declared_handed_over_and_no_other_one():
    declared = set(COMPOSE["secrets"])
    used = {name for service in COMPOSE["services"].values() for name in service.get("secrets", [])}
    assert used == declared
    for service in COMPOSE["services"].values():
        paths = re.findall(r"/run/secrets/(\w+)", str(service))
        assert set(paths) <= set(service.get("secrets", []))


def test_only_the_proxy_is_reached_from_outside_and_the_servers_reach_nothing():
    assert [name for name, service in COMPOSE["services"].items() if "ports" in service] == ["caddy"]
    for name in ("postgres", "valkey"):
        assert COMPOSE["services"][name]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_no_terminal_stands_between_a_container_and_a_file():
    """compose gives a command one unless -T says otherwise, and a terminal changes the bytes that pass."""
    text = (ROOT / "docs" / "operations.md").read_text().replace("\\\n", "")
    piped = [line for line in text.splitlines() if re.match(r" +docker compose .* exec .* [<>] \S+$", line)]
    assert len(piped) >= 2
    assert all(" exec -T " in line for line in piped)


def test_what_waits_for_a_service_waits_for_one_that_is_there():
    for service in COMPOSE["services"].values():
        assert set(service.get("depends_on", {})) <= set(COMPOSE["services"])


def test_every_variable_that_is_filled_in_has_a_line_in_the_example():
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    named = set(re.findall(r"\$\{([A-Z_]+)", text)) - {
        "EMAIL_FROM",
        "BASE_URL",
    }  # which follow from the host's name
    lines = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert set(lines) == {*named, "OPEN_SIGNUP"}
    assert lines["OPEN_SIGNUP"] == "false"  # a console that was pasted together is no place for strangers


@pytest.fixture
def made(tmp_path) -> "subprocess.CompletedProcess[str]":
    shutil.copy(ROOT / "deploy" / "make_secrets.sh", tmp_path)
    return run(tmp_path)


def run(folder: Path) -> "subprocess.CompletedProcess[str]":
    """The script, with this checkout's console in place of the image's."""
    clean = {"PATH": os.environ["PATH"], "AIRDECK_MANAGE": f"{sys.executable} {ROOT / 'manage.py'}"}
    argv = ["sh", str(folder / "make_secrets.sh")]
    return subprocess.run(argv, env=clean, capture_output=True, text=True, check=False)


def test_a_secret_that_was_not_filled_in_is_one_that_is_not_set(tmp_path):
    (tmp_path / "empty").touch()
    empty = {f"{name.upper()}_FILE": str(tmp_path / "empty") for name in YOURS}
    found = settings_of("IDP_OIDC_PRIVATE_KEY", "OIDC_URL", "MAILERS", EMAIL_HOST="mail.example", **empty)
    assert (found["IDP_OIDC_PRIVATE_KEY"], found["OIDC_URL"]) == ("", "")
    assert found["MAILERS"]["default"]["OPTIONS"]["password"] == ""


@pytest.mark.thorough
def test_the_script_makes_secrets_that_the_console_and_the_servers_take(made, tmp_path):
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {name for name in YOURS if not (folder / name).read_text()} == YOURS
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o644}
    texts = {file.name: file.read_text() for file in folder.iterdir()}
    assert set(texts) == {Path(each["file"]).name for each in COMPOSE["secrets"].values()}
    assert len(environment.secret("SECRET_KEY", texts["secret_key"])) >= 50
    assert len(environment.encryption_keys(texts["encryption_keys"])) == 1
    database = environment.database_url(texts["database_url"].strip())
    servers = COMPOSE["services"]
    assert (database["HOST"], database["USER"], database["NAME"]) == ("postgres", "airdeck", "airdeck")
    assert database["PASSWORD"] == texts["postgres_password"].strip()
    assert {"postgres", "valkey"} <= set(servers)
    redis = environment.redis_url(texts["redis_url"].strip())
    assert redis == f"redis://:{re.search('requirepass (.+)', texts['valkey_conf'])[1]}@valkey:6379/0"
    assert not any(text.strip() in made.stdout + made.stderr for text in texts.values() if text.strip())


@pytest.mark.thorough
def test_what_a_run_left_that_was_cut_short_is_not_in_the_way_of_the_next(tmp_path):
    (tmp_path / "secrets.new").mkdir()
    shutil.copy(ROOT / "deploy" / "make_secrets.sh", tmp_path)
    assert run(tmp_path).returncode == 0
    assert (tmp_path / "secrets" / "secret_key").read_text().strip()
    assert not (tmp_path / "secrets.new").exists()


@pytest.mark.thorough
def test_the_script_never_replaces_secrets(made, tmp_path):
    before = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    (tmp_path / "secrets" / "identity_key").unlink()  # as a version made them that knew of none
    again = run(tmp_path)
    assert again.returncode == 1
    assert "Keep it" in again.stderr
    assert {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()} == before
