"""Commands of manage.py work on the console that runs here, unless somebody means another one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.embedded import attach, preflight, programs
from console.embedded.errors import StartRefused
from deployments.dataplane.local.state_dir import StateDir


@pytest.fixture
def state(tmp_path) -> Iterator[StateDir]:
    """A state folder in which an `up` runs."""
    made = StateDir(tmp_path / "state")
    made.create()
    lock = preflight.take_lock(made)
    yield made
    os.close(lock)


def found(state: StateDir, **environ: str) -> dict[str, str]:
    return attach.environment(environ, default_state=state.root)


def test_the_running_console_is_found_by_names_of_files(state) -> None:
    assert found(state) == {
        "EMBEDDED": "1",
        "STATE_DIR": str(state.root),
        "SECRET_KEY_FILE": str(state.keys / "secret_key"),
        "ENCRYPTION_KEYS_FILE": str(state.keys / "encryption_keys"),
        "DATABASE_URL_FILE": str(state.run_dir / "database_url"),
        "REDIS_URL_FILE": str(state.run_dir / "redis_url"),
    }


def test_variables_of_another_postgres_lead_neither_up_nor_a_command_astray(state) -> None:
    shell = {"PATH": os.defpath, "PGPORT": "5433", "PGHOSTADDR": "192.0.2.1", "PGSERVICE": "work"}
    plan = preflight.StartPlan(state, 8000, Path("/usr/bin/redis-server"))
    assert not shell.keys() & programs.environment(plan, shell).keys() - {"PATH"}
    command = dict(shell)
    attach.attach(command, default_state=state.root)
    assert command == {"PATH": os.defpath, **found(state)}


def test_a_certificate_for_the_database_servers_of_clusters_stays(state) -> None:
    shell = {"PGSSLROOTCERT": "/etc/ssl/company.pem"}
    plan = preflight.StartPlan(state, 8000, Path("/usr/bin/redis-server"))
    assert shell.items() <= programs.environment(plan, shell).items()
    attach.attach(shell, default_state=state.root)
    assert shell["PGSSLROOTCERT"] == "/etc/ssl/company.pem"


def test_variables_of_another_postgres_stay_where_no_console_is_found(tmp_path) -> None:
    shell = {"PGPORT": "5433"}
    attach.attach(shell, default_state=tmp_path / "state")
    assert shell == {"PGPORT": "5433"}


def test_state_dir_says_which(state, tmp_path) -> None:
    assert found(StateDir(tmp_path / "other"), STATE_DIR=str(state.root)) == found(state)


@pytest.mark.parametrize("name", attach.CONFIGURED)
def test_whoever_names_another_console_gets_that(state, name) -> None:
    assert found(state, **{name: "postgresql://db.example.org/airdeck"}) == {}


def test_one_that_does_not_run_is_not_found(tmp_path) -> None:
    made = StateDir(tmp_path / "state")
    assert found(made) == {}
    made.create()
    made.lock_file.touch()
    assert found(made) == {}


@pytest.mark.parametrize("name", ["a\nb", "a%b"])
def test_a_folder_in_which_none_can_run_has_none(state, tmp_path, name) -> None:
    assert found(state, STATE_DIR=str(tmp_path / name)) == {}


def test_a_folder_of_somebody_else_has_none(state, monkeypatch) -> None:
    def refuse(of: StateDir) -> bool:
        raise StartRefused(f"{of.lock_file} cannot be opened (Permission denied).")

    monkeypatch.setattr(preflight, "in_use", refuse)
    assert found(state) == {}


def test_looking_leaves_the_folder_to_the_next_up(tmp_path) -> None:
    made = StateDir(tmp_path / "state")
    made.create()
    made.lock_file.touch()
    found(made)
    os.close(preflight.take_lock(made))
