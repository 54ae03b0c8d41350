"""Variables by which code would run, or a file be read, before or beside Airflow: refused on every data plane, and
never handed to a process when they were stored before."""

import pytest

from deployments.domain.reserved_variables import reserved
from deployments.domain.variables import Setting, problem_of, takes_effect
from deployments.models import EnvironmentVariable
from deployments.queries.releases import release_of
from deployments.secrets import vault

RUNS_CODE = """
AIRFLOW__DATABASE__SQL_ALCHEMY_ENGINE_ARGS_CMD AIRFLOW__SECRETS__BACKEND_KWARGS_CMD AIRFLOW__SMTP__SMTP_PASSWORD_CMD
AIRFLOW__KEYCLOAK_AUTH_MANAGER__CLIENT_SECRET_SECRET AIRFLOW__A__B_C_CMD AIRFLOW__SENTRY__SENTRY_DSN_SECRET
PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE PYTHONBREAKPOINT PYTHONWARNINGS PYTHONPYCACHEPREFIX PYTHONINSPECT
LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT LD_ANYTHING_LATER GCONV_PATH LOCPATH GLIBC_TUNABLES BASH_ENV OPENSSL_CONF
OPENSSL_ENGINES SSLKEYLOGFILE GUNICORN_CMD_ARGS AIRFLOW__API__LOG_CONFIG PGSERVICEFILE PGHOSTADDR PGPASSFILE
""".split()
BACKEND, KWARGS = "AIRFLOW__SECRETS__BACKEND", "AIRFLOW__SECRETS__BACKEND_KWARGS"
BUNDLES = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"


@pytest.mark.parametrize("name", RUNS_CODE)
def test_a_name_that_loads_or_runs_something_is_refused_in_one_sentence(name: str) -> None:
    assert reserved(name).startswith(f"{name} cannot be set here. ")
    for secret in (False, True):
        assert problem_of(name, Setting("cat keys/secret_key", secret))


@pytest.mark.parametrize(
    "name",
    [
        "MY_CMD",
        "CLIENT_SECRET",
        "AIRFLOW_VAR_X_CMD",
        "AIRFLOW_CONN_X_SECRET",
        "PYTHONUTF8",
        "PGHOST",
        "LDAP_URL",
    ],
)
def test_names_that_only_resemble_one_are_the_users(name: str) -> None:
    assert not reserved(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (BACKEND, "subprocess.Popen"),
        (BACKEND, "airflow.utils.process_utils.execute_in_subprocess"),
        (BACKEND, "$X"),
        ("AIRFLOW__WORKERS__SECRETS_BACKEND", "os.system"),
        (BUNDLES, '[{"name": "x", "classpath": "subprocess.Popen", "kwargs": {"args": "id"}}]'),
        (BUNDLES, '[{"name": "$X", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle"}]'),
        (BUNDLES, "not json"),
        (BUNDLES, "[" * 30_000),
        (BUNDLES, '{"classpath": "a"}'),
    ],
)
def test_an_option_names_no_class_but_what_is_made_for_it(name: str, value: str) -> None:
    assert name in problem_of(name, Setting(value, False))
    assert name in problem_of(name, Setting(value, True))
    assert not takes_effect(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (BACKEND, "airflow.providers.hashicorp.secrets.vault.VaultBackend"),
        (BACKEND, "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"),
        (BACKEND, "airflow.secrets.local_filesystem.LocalFilesystemBackend"),
        (KWARGS, '{"url": "https://vault.example"}'),
        (
            BUNDLES,
            '[{"name": "x", "classpath": "airflow.providers.git.bundles.git.GitDagBundle", "kwargs": {}}]',
        ),
    ],
)
def test_what_is_made_for_it_is_taken(name: str, value: str) -> None:
    assert not problem_of(name, Setting(value, False))


def test_what_was_stored_before_it_was_refused_reaches_no_process_and_the_page_says_so(
    deployment, alice, as_
) -> None:
    for key in ("PYTHONPATH", "AIRFLOW__SECRETS__BACKEND_KWARGS_CMD"):
        EnvironmentVariable.objects.create(deployment=deployment, key=key, value="stored", updated_by=alice)
    for key, value in (("LD_PRELOAD", "x.so"), (BACKEND, "subprocess.Popen"), ("TOKEN", "kept")):
        sealed = vault.seal_variable(deployment, key, value)
        EnvironmentVariable.objects.create(
            deployment=deployment, key=key, is_secret=True, sealed=sealed, secret_digest="m"
        )
    EnvironmentVariable.objects.create(deployment=deployment, key="REGION", value="north")
    release = release_of(deployment, list(deployment.queues.select_related("worker_type")))
    assert release.environment == {"REGION": "north"}
    assert set(release.secret_marks) == {BACKEND, "TOKEN"}  # a name tells nothing of its value
    assert vault.read(deployment).variables == {"TOKEN": "kept"}
    page = as_(alice).get(f"/deployments/{deployment.release_name}/variables/").content.decode()
    assert "PYTHONPATH cannot be set here." in page
    assert "left out of what runs; delete it." in page
