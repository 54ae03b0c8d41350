"""Every setting holds in a component that was started warm as it does in a cold start: each component of the real
Airflow, of every runtime, is started both ways and compared with itself."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from console.tests.services import STATE
from deployments.dataplane.local import environment, ports
from deployments.dataplane.local.steps.warm_parents import WarmStarts
from deployments.dataplane.local.supervisor.processes import Processes
from deployments.dataplane.local.supervisor.specs import Spec
from deployments.domain.spec import RuntimeSpec
from deployments.domain.states import Executor
from deployments.tests.dataplane.contract import apply_once, new_case, remove
from deployments.tests.dataplane.local.airflow_local import LocalHarness, until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

REPORT = Path(__file__).with_name("component_report.py")
RUNTIMES = {"3.3-1": "3.3.2", "3.2-1": "3.2.2"}
COMPONENTS = ("api-server", "scheduler-1", "dag-processor", "triggerer")
# Unusual, one and all, and handed over to a component that is started warm.
UNUSUAL = {
    "COLOUR": "blue",
    "AIRFLOW__API__ACCESS_CONTROL_ALLOW_ORIGINS": "https://example.org",
    "AIRFLOW__API__DAG_CACHE_SIZE": "3",
    "AIRFLOW__API__ENABLE_SWAGGER_UI": "False",
    "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "77",
    "AIRFLOW__API_AUTH__JWT_ALGORITHM": "HS256",
    "AIRFLOW__CORE__DAG_FILE_PROCESSOR_TIMEOUT": "77",
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "21.5",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "7",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "11",
    "AIRFLOW__CORE__PARALLELISM": "3",
    "AIRFLOW__CORE__SENSITIVE_VAR_CONN_NAMES": "colour",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "3",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "17",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_RECYCLE": "777",
    "AIRFLOW__EMAIL__FROM_EMAIL": "someone@example.org",
    "AIRFLOW__LOGGING__CALLSITE_PARAMETERS": "pathname",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "sqlalchemy=ERROR",
    "AIRFLOW__LOGGING__LOG_FORMAT": "%(levelname)s says %(message)s",
    "AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "777",
    "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
    "AIRFLOW__TRIGGERER__CAPACITY": "17",
    "AIRFLOW__TRIGGERER__QUEUES_ENABLED": "False",
    "AIRFLOW__UNKNOWN__SETTING": "100% of it",
    "AIRFLOW_CONN_MINE": "http://user:secret@example.org",
    "AIRFLOW_VAR_MINE": "a\nb",
    "PGAPPNAME": "mine",
}
PLUGIN = """
from airflow.plugins_manager import AirflowPlugin
class Mine(AirflowPlugin):
    name = "mine"
"""
# Read while modules are imported: such a component starts cold, and says so.
READ_EARLY = {
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Asia/Tokyo",
    "AIRFLOW__API__BASE_URL": "http://example.org/below",
    "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "7",
    "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS": "airflow.config_templates.airflow_local_settings.DEFAULT_LOGGING_CONFIG",
    "TZ": "Asia/Tokyo",
    "PYTHONUNBUFFERED": "1",
}


@pytest.fixture(scope="module")
def harness() -> LocalHarness:
    return LocalHarness()


class Bench:
    """A Deployment that is made but for its components, whose programs are then started one at a time."""

    def __init__(self, harness: LocalHarness, version: str) -> None:
        self.harness = harness
        runtime = RuntimeSpec(version, RUNTIMES[version])
        self.case = new_case(Executor.LOCAL, runtime=runtime, environment=UNUSUAL)
        until(lambda: apply_once(harness, self.case).step == "configuration", 200)
        self.warm = WarmStarts(STATE, harness.supervisor, True)
        self.warm.ensure(version)
        until(lambda: Path(self.warm.contact(version)["ready"]).exists())
        self.folder = STATE.deployment(self.case.ref.release_name)
        (self.folder / "plugins" / "mine.py").write_text(PLUGIN)
        # Within the fence.
        self.more, self.script = self.folder / "home" / "more", self.folder / "home" / REPORT.name
        self.more.mkdir()
        (self.more / "mine_too.py").touch()
        self.script.write_text(REPORT.read_text())
        self.processes = Processes(STATE, harness.supervisor, self.case.ref.release_name)

    def specs(self, **variables: str) -> dict[str, Spec]:
        """The programs of this Deployment, by name."""
        driver, case = self.harness.new_driver(), self.case
        port = ports.allot(STATE, case.ref.release_name)
        found = environment.static_specs(
            case.release,
            case.secrets,
            driver._configuration.layout(case.ref.release_name, case.release, case.secrets, port),
        )
        return {name: replace(spec, env={**spec.env, **variables}) for name, spec in found.items()}

    def report(self, name: str, *, warm: bool) -> dict:
        """Start the component, and what it says of itself once it is steady; it is gone afterwards."""
        file = self.folder / "home" / "report.json"
        file.unlink(missing_ok=True)
        spec = self.specs(REPORT=str(file), PYTHONPATH=str(self.more))[name]
        arguments = spec.argv[3:] if spec.argv[1] == "-m" else spec.argv[2:]
        argv = (spec.argv[0], str(self.script), *arguments)
        self.start(name, replace(spec, argv=argv, warm=spec.warm if warm else None))
        until(lambda: file.exists() or self.processes.known()[name].state == "FATAL", 120)
        assert file.exists(), self.log(name)
        assert "started cold" not in self.log(name)
        document = json.loads(file.read_text())
        document["shown"] = [word for word in self.shown(name) if word]
        self.end(name)
        return document

    def shown(self, name: str) -> list[str]:
        pid = self.processes.known()[name].pid
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")

    def start(self, name: str, spec: Spec) -> None:
        self.processes.log_file(name).unlink(missing_ok=True)
        self.processes.write_specs({name: spec})
        self.processes.add([name])

    def end(self, name: str) -> None:
        until(lambda: self.processes.remove(name), 30)

    def log(self, name: str) -> str:
        file = self.processes.log_file(name)
        return file.read_text() if file.exists() else ""  # supervisord makes it with the first line

    def close(self) -> None:
        remove(self.harness, self.case)


@pytest.fixture(scope="module", params=sorted(RUNTIMES, reverse=True))
def bench(harness, request):
    made = Bench(harness, request.param)
    yield made
    made.close()


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_started_warm_says_of_itself_what_a_cold_one_says(bench, name) -> None:
    cold, warm = bench.report(name, warm=False), bench.report(name, warm=True)
    # Drawn by each interpreter for itself, where a first call came from, and a pid that is looked at: no settings.
    own = (
        "OVERRIDE_SPAN_ID_KEY",
        "OVERRIDE_TRACE_ID_KEY",
        "_initialization_stack_trace",
        "Stats._instance_pid",
    )
    both = {k for k in cold["constants"].keys() & warm["constants"].keys() if not k.endswith(own)}
    assert len(both) > 1000
    assert {k: warm["constants"][k] for k in both} == {k: cold["constants"][k] for k in both}
    for part in cold.keys() - {"constants", "logs"}:
        assert warm[part] == cold[part], part
    assert warm["logs"]["handlers"] == cold["logs"]["handlers"]
    assert (warm["logs"]["level"], warm["logs"]["disabled"]) == (
        cold["logs"]["level"],
        cold["logs"]["disabled"],
    )
    assert {n: v for n, v in warm["logs"]["levels"].items() if n in cold["logs"]["levels"]} == cold["logs"][
        "levels"
    ]
    home = str(STATE.runtime(bench.case.release.runtime.version) / "warm-home")
    kept = [key for key, value in warm["constants"].items() if home in value or "nobody@" in value]
    assert kept == [], "these hold what is the parent's"


def test_what_was_read_early_starts_a_component_cold(bench) -> None:
    for setting, value in READ_EARLY.items():
        spec = bench.specs(**{setting: value})["triggerer"]
        bench.start("triggerer", spec)
        until(lambda: "started cold" in bench.log("triggerer"), 60)
        said = setting.removeprefix("AIRFLOW__").replace("__", ".").lower()
        assert said in bench.log("triggerer").lower(), setting
        bench.end("triggerer")
