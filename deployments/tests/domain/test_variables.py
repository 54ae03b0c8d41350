"""What a variable may be called and hold, and what a change to variables would do."""

import json
from dataclasses import replace

import pytest

from deployments.dataplane.kubernetes import names
from deployments.dataplane.local import environment
from deployments.dataplane.local.supervisor.specs import BASE_ENVIRONMENT
from deployments.domain import reserved_variables, variables
from deployments.domain.states import Executor
from deployments.domain.variables import DotenvEntry, Setting
from deployments.tests.dataplane.kubernetes import samples
from deployments.tests.dataplane.local.test_environment import SECRETS, layout, release

# Astronomer's list of names that are the platform's, and the names by which Airflow 3 knows them.
PLATFORM_OWNED = """
AIRFLOW_HOME AIRFLOW_CONN_AIRFLOW_DB AIRFLOW_CONN_ASTRO_S3_LOGGING
AIRFLOW__CORE__EXECUTOR AIRFLOW__CORE__FERNET_KEY AIRFLOW__CORE__SQL_ALCHEMY_CONN AIRFLOW__CORE__HOSTNAME_CALLABLE
AIRFLOW__DATABASE__SQL_ALCHEMY_CONN AIRFLOW__CELERY__WORKER_CONCURRENCY
AIRFLOW__KUBERNETES__NAMESPACE AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE
AIRFLOW__LOGGING__DAG_PROCESSOR_LOG_TARGET AIRFLOW__LOGGING__REMOTE_LOGGING AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER
AIRFLOW__LOGGING__ENCRYPT_S3_LOGS AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS
AIRFLOW__SCHEDULER__STATSD_ON AIRFLOW__SCHEDULER__STATSD_HOST AIRFLOW__SCHEDULER__STATSD_PORT
AIRFLOW__METRICS__STATSD_ON AIRFLOW__METRICS__STATSD_HOST AIRFLOW__METRICS__STATSD_PORT AIRFLOW__METRICS__STATSD_PREFIX
AIRFLOW__WEBSERVER__BASE_URL AIRFLOW__WEBSERVER__UPDATE_FAB_PERMS AIRFLOW__WEBSERVER__ENABLE_PROXY_FIX
AIRFLOW__WEBSERVER__COOKIE_SECURE AIRFLOW__WEBSERVER__INSTANCE_NAME AIRFLOW__WEBSERVER__NAVBAR_COLOR
AIRFLOW__WEBSERVER__EXPOSE_CONFIG
AIRFLOW__API__BASE_URL AIRFLOW__API__INSTANCE_NAME AIRFLOW__API__EXPOSE_CONFIG AIRFLOW__FAB__UPDATE_FAB_PERMS
INSTANCE_TYPE OPENLINEAGE_URL OPENLINEAGE_API_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_DEFAULT_REGION
""".split()
# What a driver sets and a user may set otherwise: a default of ours, or of this machine.
OVERRIDABLE = reserved_variables.OVERRIDABLE | (set(BASE_ENVIRONMENT) - {"PATH", "HOME"})
LOCAL_DEFAULTS = {
    *environment._named(environment.DEFAULTS),
    *environment._named(environment.CELERY_DEFAULTS),
    "AIRFLOW__CORE__PARALLELISM",
}


def local_names() -> set[str]:
    names = {"PATH", "HOME"}
    for executor in (Executor.CELERY, Executor.LOCAL):
        given, where = release(executor), layout()
        specs = list(environment.static_specs(given, SECRETS, where).values())
        specs += [environment.worker_spec(given, SECRETS, where, queue=q, slot=1) for q in given.queues]
        names |= {name for spec in specs for name in spec.env} - set(given.environment)
        names |= set(given.environment) & {"AIRFLOW__CORE__FERNET_KEY"}
    return names


def kubernetes_names() -> set[str]:
    found = set()
    for executor in Executor:
        given = samples.inputs(executor, "smallest", settings=samples.RICH)
        given = replace(given, secrets=replace(given.secrets, variables={}))
        manifests = samples.documents(given)
        airflows = [c for each in manifests for c in containers(each) if c.get("envFrom")]  # Redis gets none
        found |= {each["name"] for container in airflows for each in container["env"]}
        for manifest in manifests:
            if manifest["kind"] == "ConfigMap" and manifest["metadata"]["name"] == names.SETTINGS:
                found |= manifest["data"].keys()
    return found


def containers(document):
    """Every container in a manifest, and in the pod template that one holds as text."""
    if isinstance(document, dict):
        for key in ("containers", "initContainers"):
            yield from document.get(key, ())
        for value in document.values():
            yield from containers(value)
    elif isinstance(document, list):
        for value in document:
            yield from containers(value)
    elif isinstance(document, str) and document.startswith("{"):
        yield from containers(json.loads(document) if document.endswith("}") else {})


@pytest.mark.parametrize("ours", [local_names, kubernetes_names])
def test_every_name_that_a_data_plane_sets_is_refused(ours) -> None:
    ours = ours() - OVERRIDABLE
    assert len(ours) > 25
    assert {name for name in ours if not reserved_variables.reserved(name)} == set()


@pytest.mark.parametrize("name", PLATFORM_OWNED)
def test_platform_owned_names_are_refused_with_what_to_do(name: str) -> None:
    sentence = reserved_variables.reserved(name)
    assert sentence.startswith(f"{name} cannot be set here. ")
    assert sentence.endswith(".")
    assert len(sentence) > len(name) + 40


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONINSPECT", "AIRDECK_STATE"),
        *(
            "AIRFLOW__CORE__FERNET_KEY_CMD",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_SECRET",
            "KUBERNETES_SERVICE_HOST",
        ),
    ],
)
def test_names_that_would_break_or_steal_the_launch_are_refused(name: str) -> None:
    assert reserved_variables.reserved(name)


@pytest.mark.parametrize(
    "name",
    [
        *sorted(OVERRIDABLE),
        *(
            "AIRFLOW_CONN_WAREHOUSE",
            "AIRFLOW_VAR_REGION",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG",
        ),
        *("TZ", "LANG", "ENV", "DATABASE_URL", "HTTPS_PROXY", "PATH_TO_DATA", "airflow_home", "_", "a1"),
    ],
)
def test_other_names_are_the_users(name: str) -> None:
    assert not reserved_variables.reserved(name)
    assert not variables.problem_of_key(name)


@pytest.mark.parametrize("executor", [Executor.CELERY, Executor.LOCAL])
def test_what_may_be_set_otherwise_is_not_set_back(executor: Executor) -> None:
    given = release(executor)
    given = replace(given, environment=dict.fromkeys(OVERRIDABLE, "theirs"))
    spec = environment.static_specs(given, SECRETS, layout())["scheduler-1"]
    assert {name: spec.env[name] for name in OVERRIDABLE} == dict.fromkeys(OVERRIDABLE, "theirs")
    assert LOCAL_DEFAULTS <= reserved_variables.OVERRIDABLE


def test_what_may_be_set_otherwise_is_not_set_back_on_kubernetes() -> None:
    given = samples.inputs(Executor.KUBERNETES)
    theirs = dict.fromkeys(OVERRIDABLE, "theirs")
    given = replace(given, release=replace(given.release, environment=theirs))
    set_by_us = {
        each["name"] for m in samples.documents(given) for c in containers(m) for each in c.get("env", ())
    }
    assert set_by_us
    assert not set_by_us & OVERRIDABLE
    settings = [
        m
        for m in samples.documents(given)
        if m["kind"] == "ConfigMap" and m["metadata"]["name"] == names.SETTINGS
    ]
    assert not settings[0]["data"].keys() & OVERRIDABLE


@pytest.mark.parametrize(
    "key", ["", "1A", "A-B", "A B", "A.B", "Ä", "A\n", "A=", "A" * 256, "${A}", "$(x)", "A\x00", "٣"]
)
def test_bad_keys_are_refused(key: str) -> None:
    assert variables.problem_of_key(key)


def test_the_longest_key_and_value_are_taken() -> None:
    assert not variables.problem_of_key("A" * 255)
    assert not variables.problem_of_value("é" * (16 * 1024))
    assert "32,768" in variables.problem_of_value("é" * (16 * 1024) + "x")


@pytest.mark.parametrize("value", ["a\x00b", "\x1b[0m", "\x07", "\x7f", "\ud800", "a\x0bb"])
def test_bad_values_are_refused(value: str) -> None:
    assert variables.problem_of_value(value)


@pytest.mark.parametrize("value", ["", "a\nb\tc\r\n", "%(x)s", "{{ x }}", "'\"`$(rm)", "snow ☃ 🎿", " "])
def test_ordinary_values_are_taken(value: str) -> None:
    assert not variables.problem_of_value(value)


@pytest.mark.parametrize(
    "value",
    [
        *("••••", "••••••••", "********", "●●●", "***", "xxxxx", "…………", " •••• ", "[REDACTED]", "redacted"),
        *("Secret, set 3 days ago by Bob", "secret changed"),
    ],
)
def test_a_mask_is_no_secret(value: str) -> None:
    assert variables.problem_of("TOKEN", Setting(value, True))
    assert not variables.problem_of("PATTERN", Setting(value, False))  # a plain value may look so


@pytest.mark.parametrize("value", ["secret", "x", "*", "a***", "hunter2", "0 3 * * *"])
def test_a_secret_that_only_resembles_a_mask_is_taken(value: str) -> None:
    assert not variables.problem_of("TOKEN", Setting(value, True))


def test_an_empty_secret_is_refused_and_an_empty_plain_value_taken() -> None:
    assert variables.problem_of("TOKEN", Setting("", True))
    assert not variables.problem_of("FLAG", Setting("", False))


def test_all_together_are_bounded() -> None:
    whole = {f"K{n:04}": Setting("v" * 32_768, False) for n in range(31)}
    assert not variables.problem_of_all(whole)
    assert "1,048,576" in variables.problem_of_all({**whole, "LAST": Setting("v" * 32_768, True)})
    assert "500" in variables.problem_of_all({f"K{n}": Setting("", False) for n in range(501)})


CURRENT = {
    "KEPT": Setting("1", False),
    "MOVED": Setting("old", False),
    "TOKEN": Setting("hush", True),
    "OTHER": Setting("hush", True),
}


def test_a_dotenv_adds_and_overwrites_and_removes_nothing() -> None:
    entries = [
        DotenvEntry(1, "KEPT", "1"),
        DotenvEntry(2, "MOVED", "new"),
        DotenvEntry(3, "FRESH", "x"),
        DotenvEntry(4, "TOKEN", "louder"),
        DotenvEntry(5, "PATH", "/bin"),
        DotenvEntry(6, "OTHER", ""),  # as in a downloaded file: keep
        DotenvEntry(7, "EMPTY", ""),
    ]
    desired, refused = variables.merged(CURRENT, entries, secret=True)
    found = variables.difference(CURRENT, desired, refused)
    assert found.names() == {"added": ["FRESH"], "changed": ["MOVED", "TOKEN"], "removed": []}
    assert found.unchanged == ("KEPT", "OTHER")
    assert [(each.line, each.key) for each in found.refused] == [(5, "PATH"), (7, "EMPTY")]
    assert desired["FRESH"].secret  # new ones are secret by default
    assert not desired["MOVED"].secret  # those there keep their kind
    assert desired["TOKEN"] == Setting("louder", True)
    plain, _ = variables.merged(CURRENT, entries, secret=False)
    assert not plain["FRESH"].secret
    assert plain["TOKEN"].secret  # never un-secreted


def test_the_same_again_is_no_difference() -> None:
    desired, _ = variables.merged(
        CURRENT, [DotenvEntry(1, "MOVED", "old"), DotenvEntry(2, "TOKEN", "hush")], secret=True
    )
    assert not variables.difference(CURRENT, desired)


def test_a_revision_restores_everything_but_openness() -> None:
    then = {
        "TOKEN": Setting("plain once", False),
        "GONE": Setting("x", False),
        "AIRFLOW_HOME": Setting("/", False),
    }
    desired, refused = variables.restored(CURRENT, then)
    assert desired == {"TOKEN": Setting("plain once", True), "GONE": Setting("x", False)}
    assert [each.key for each in refused] == ["AIRFLOW_HOME"]
    assert variables.difference(CURRENT, desired).names()["removed"] == ["KEPT", "MOVED", "OTHER"]


def test_no_value_is_in_a_repr() -> None:
    desired, refused = variables.merged(
        {}, [DotenvEntry(1, "A", "hush"), DotenvEntry(2, "PATH", "hush")], secret=True
    )
    found = variables.difference({}, desired, refused)
    assert "hush" not in repr((found, found.added, desired, refused, DotenvEntry(1, "A", "hush")))
