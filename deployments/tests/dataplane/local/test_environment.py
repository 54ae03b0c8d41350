"""What each program runs, as whole documents. After a wanted change: UPDATE_GOLDEN=1 pytest this file."""

import json
import os
from pathlib import Path

import pytest

from deployments.dataplane.local import environment as airflow_env
from deployments.dataplane.local.environment import Layout
from deployments.dataplane.postgres import databases
from deployments.domain.spec import QueueSpec, Release, RuntimeSpec, Secrets, au_size
from deployments.domain.states import Executor

GOLDEN = Path(__file__).with_name("golden")
SECRETS = Secrets("FERNET", "JWT", "API", "DATABASE", "REDIS", "ADMIN", "SIGN-IN")


def layout(version: str = "3.3-1") -> Layout:
    root = Path("/srv/state")
    return Layout(
        state_dir=root,
        folder=root / "deployments/calm-orbit-0012",
        python=root / f"runtimes/{version}/current/bin/python",
        redis_server=Path("/usr/bin/redis-server"),
        redis_socket=root / "run/calm-orbit-0012.redis.sock",
        port=20001,
        console_port=8000,
        database_url=databases.url(
            "postgresql://admin:ADMINPW@/postgres?host=/srv/state/run",
            database="d_calm_orbit_0012",
            user="d_calm_orbit_0012",
            password="DATABASE",
        ),
        base={"PATH": "/usr/bin", "HOME": "/home/x"},
    )


def release(executor: Executor, version: str = "3.3-1", airflow: str = "3.3.2") -> Release:
    queues = (QueueSpec("default", 1, 10, 16, au_size(10)),) if executor is Executor.CELERY else ()
    return Release(
        deployment_id="id",
        release_name="calm-orbit-0012",
        generation=1,
        runtime=RuntimeSpec(version, airflow),
        executor=executor,
        scheduler=au_size(5),
        scheduler_replicas=2,
        queues=queues,
        environment={"COLOUR": "blue", "AIRFLOW__CORE__FERNET_KEY": "not the user's to set"},
    )


@pytest.mark.parametrize("executor", [Executor.CELERY, Executor.LOCAL])
@pytest.mark.parametrize(("version", "airflow"), [("3.3-1", "3.3.2"), ("3.2-1", "3.2.2")])
def test_the_programs_are_as_written_down(version: str, airflow: str, executor: Executor) -> None:
    given, where = release(executor, version, airflow), layout(version)
    specs = airflow_env.static_specs(given, SECRETS, where)
    for queue in given.queues:
        name = airflow_env.worker_name(queue.name, 1)
        specs[name] = airflow_env.worker_spec(given, SECRETS, where, queue=queue, slot=1)
    shared = dict(specs["api-server"].env)
    document = {
        "environment": shared,
        "programs": {
            name: {
                "argv": spec.argv,
                "cwd": str(spec.cwd),
                "adds": {k: v for k, v in spec.env.items() if shared.get(k) != v},
                "lacks": len(set(shared) - set(spec.env)),
            }
            for name, spec in specs.items()
        },
        "files": {str(file): text for file, text in airflow_env.files(SECRETS, where).items()},
    }
    text = json.dumps(document, indent=1, sort_keys=True) + "\n"
    file = GOLDEN / f"{version}-{executor}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def test_no_secret_is_an_argument() -> None:
    given = release(Executor.CELERY)
    specs = airflow_env.static_specs(given, SECRETS, layout())
    specs["worker"] = airflow_env.worker_spec(given, SECRETS, layout(), queue=given.queues[0], slot=1)
    secrets = [value for value in vars(SECRETS).values() if isinstance(value, str) and value]
    for spec in specs.values():
        assert not any(secret in argument for argument in spec.argv for secret in secrets)
        assert "DATABASE" not in repr(spec)


def test_a_users_variable_reaches_airflow_but_never_replaces_ours() -> None:
    environment = airflow_env.airflow_environment(release(Executor.LOCAL), SECRETS, layout())
    assert environment["COLOUR"] == "blue"
    assert environment["AIRFLOW__CORE__FERNET_KEY"] == "FERNET"


def test_the_spec_changes_with_the_environment_and_not_with_the_generation() -> None:
    first = airflow_env.static_specs(release(Executor.CELERY), SECRETS, layout())
    again = airflow_env.static_specs(release(Executor.CELERY), SECRETS, layout())
    assert {n: s.digest for n, s in first.items()} == {n: s.digest for n, s in again.items()}
    moved = Secrets("OTHER", "JWT", "API", "DATABASE", "REDIS", "ADMIN", "SIGN-IN")
    other = airflow_env.static_specs(release(Executor.CELERY), moved, layout())
    assert {name for name in first if first[name].digest == other[name].digest} == {"redis"}
