"""The Helm chart: its objects as files, held to the schemas of Kubernetes, to its promises, and to the real Helm.

After a change that is meant: `UPDATE_GOLDEN=1 pytest console/tests/test_chart.py`, and read the difference.
"""

import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from console import __version__, processes
from console.tests import chart
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.rbac import manifest, rules
from deployments.management.cluster_options import settings_of
from deployments.management.commands.register_cluster import Command
from deployments.tests.dataplane.kubernetes.test_manifests_golden import (
    NEWEST_CLUSTER,
    OLDEST_CLUSTER,
    _check,
)

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("golden") / "chart"
SETTINGS = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "README.md").read_text()))
HINT = 1  # of the severities of `helm lint`
GRACES = {"web": 30, "worker": 60, "observer": 15, "beat": 15}


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What each process runs as, by its name."""
    return {
        each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: each["spec"][
            "template"
        ]["spec"]
        for each in objects
        if each["kind"] in {"Deployment", "Job"}
    }


def containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [*spec.get("initContainers", []), *spec["containers"]]


@pytest.mark.parametrize("name", chart.SETS)
def test_the_objects_are_those_in_the_files(name):
    found = yaml.safe_dump_all(chart.rendered(chart.SETS[name]), sort_keys=True, width=200)
    file = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(found)
    assert found == file.read_text()


def test_there_is_no_file_that_no_test_reads():
    assert {file.stem for file in GOLDEN.iterdir()} == set(chart.SETS)


@pytest.fixture(scope="module")
def helm() -> Any:
    """Helm's own code. Its 244 MB and its threads stay out of every other run."""
    if os.environ.get("HELM_TEST") != "1":
        pytest.skip("HELM_TEST=1 holds the chart to Helm itself, which `pip install helm-python-sdk` brings")
    return pytest.importorskip("helm_python")


@pytest.mark.parametrize("name", chart.SETS)
def test_the_real_helm_renders_the_same(helm, name):
    assert chart.by_helm(helm, chart.SETS[name]) == chart.rendered(chart.SETS[name])


def test_the_real_helm_finds_nothing_to_mend(helm):
    found = helm.lint(str(chart.CHART), chart.given({}))
    assert not found["errors"], found
    assert not [each for each in found["messages"] if each["severity"] > HINT], found


@pytest.mark.parametrize("cluster", [OLDEST_CLUSTER, NEWEST_CLUSTER])
@pytest.mark.parametrize("name", chart.SETS)
def test_every_object_meets_the_schema_of_its_kind_strictly(name, cluster):
    for document in chart.rendered(chart.SETS[name]):
        if (
            document["kind"] != "ServiceMonitor"
        ):  # the Prometheus operator's; the file of `watched` was read by eye
            _check(cluster, document)


@pytest.mark.parametrize("name", chart.SETS)
def test_every_pod_is_restricted_and_writes_to_its_own_folder_alone(name):
    found = pods(chart.rendered(chart.SETS[name]))
    assert set(found) - {"register"} == {*GRACES, "migrate"}
    for spec in found.values():
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(spec):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/etc/airdeck", "/tmp"}
            assert container["resources"]["requests"]


def test_every_process_gets_its_grace_and_its_words_are_those_of_the_entry_point():
    found = pods(chart.rendered({}))
    for name, grace in GRACES.items():
        assert found[name]["terminationGracePeriodSeconds"] == grace
        assert found[name]["containers"][0]["args"][0] in processes.ROLES
    assert found["migrate"]["containers"][0]["args"] == ["migrate"]


def test_there_is_one_beat_whatever_is_asked_and_two_never_run_at_once():
    objects = chart.rendered({})
    beat = next(each for each in objects if each["metadata"]["name"] == "airdeck-beat")
    assert beat["spec"]["replicas"] == 1
    assert beat["spec"]["strategy"] == {"type": "Recreate"}
    with pytest.raises(jsonschema.ValidationError):
        chart.rendered({"beat": {"replicas": 2}})


@pytest.mark.parametrize("name", chart.SETS)
def test_the_chart_makes_no_secret_and_no_value_holds_one(name):
    objects = chart.rendered(chart.SETS[name])
    assert "Secret" not in {each["kind"] for each in objects}
    for spec in pods(objects).values():
        for container in containers(spec):
            names = {each["name"] for each in container["env"]}
            assert {"DATABASE_URL_FILE", "REDIS_URL_FILE", "SECRET_KEY_FILE", "ENCRYPTION_KEYS_FILE"} <= names
            assert not names & {
                "DATABASE_URL",
                "REDIS_URL",
                "SECRET_KEY",
                "ENCRYPTION_KEYS",
                "EMAIL_PASSWORD",
            }
            assert {name.removesuffix("_FILE") for name in names} <= SETTINGS


REFUSED: list[chart.Values] = [
    {"host": "https://airdeck.example.org"},
    {"host": ""},
    {"existingSecret": ""},
    {"mail": {"host": ""}},
    {"image": {"digest": "latest"}},
    {"env": {"SECRET_KEY": "x"}},
    {"replicas": 3},
    {"metrics": {"port": 8000}},
    {"env": {"OIDC_CLIENT_SECRET": "x"}},
    {"env": {"PORT": "9000"}},
    {"env": {"ALLOWED_HOSTS": "other.example.org"}},
    {"trustedProxyCount": 0},
    {"inCluster": {"register": {"name": "Production"}}},
    {"inCluster": {"enabled": True, "register": {"name": "Production", "settings": {"worker_grace": 60}}}},
]


@pytest.mark.parametrize("changes", REFUSED)
def test_values_that_make_no_console_are_refused(changes):
    with pytest.raises(jsonschema.ValidationError):
        chart.rendered(changes)


@pytest.mark.parametrize("changes", REFUSED)
def test_the_real_helm_refuses_them_too(helm, changes):
    with pytest.raises(helm.HelmValuesError):
        chart.by_helm(helm, changes)


@pytest.mark.parametrize("name", chart.SETS)
def test_no_setting_is_said_twice_and_none_that_the_chart_says_is_taken_as_a_further_one(name):
    """Of two Kubernetes takes one or refuses both, depending on who applies them."""
    for spec in pods(chart.rendered(chart.SETS[name])).values():
        for container in containers(spec):
            told = [each["name"] for each in container["env"]]
            assert len(told) == len(set(told))
    refused = set(chart.schema()["properties"]["env"]["propertyNames"]["not"]["enum"])
    full = {"mail": {"user": "airdeck"}, "metrics": {"enabled": True}}
    (web,) = pods(chart.rendered(full))["web"]["containers"]
    assert {each["name"] for each in web["env"]} - refused == {"BASE_URL"}
    secret = set(re.findall(r"`([A-Z_]+)`(?:\*\*)? \*file\*", (ROOT / "README.md").read_text()))
    assert secret <= refused


def test_an_address_with_a_port_of_its_own_is_said_in_place_of_the_one_that_follows_from_the_host():
    (web,) = pods(chart.rendered({"env": {"BASE_URL": "https://airdeck.example.org:8443"}}))["web"][
        "containers"
    ]
    assert [each["value"] for each in web["env"] if each["name"] == "BASE_URL"] == [
        "https://airdeck.example.org:8443"
    ]


def test_a_node_can_be_drained_while_no_pod_is_ready():
    budgets = [each["spec"] for each in chart.rendered({}) if each["kind"] == "PodDisruptionBudget"]
    assert len(budgets) == 3
    for spec in budgets:
        assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


def test_another_image_is_another_migration_and_the_same_one_is_left_alone():
    def job(changes):
        return next(each["metadata"]["name"] for each in chart.rendered(changes) if each["kind"] == "Job")

    assert job({}) == job({"web": {"replicas": 9}})
    assert len({job({}), job({"image": {"tag": "0.2.0"}}), job(chart.SETS["pinned"])}) == 3


def test_processes_wait_for_the_migration_without_a_hook():
    objects = chart.rendered({})
    assert not any("helm.sh/hook" in each["metadata"].get("annotations", {}) for each in objects)
    found = pods(objects)
    for name in ("web", "worker", "observer"):
        (wait,) = found[name]["initContainers"]
        assert "migrate --check" in wait["command"][2]


def test_the_ingress_lets_streams_and_uploads_through():
    ingress = next(each for each in chart.rendered({}) if each["kind"] == "Ingress")
    annotations = ingress["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == "110m"
    assert int(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) == 3600


def test_metrics_are_off_and_where_they_are_on_every_process_has_the_port_and_only_those_named_reach_it():
    assert "metrics" not in str(chart.rendered({}))
    objects = chart.rendered(chart.SETS["watched"])
    for name, spec in pods(objects).items():
        told = {each["name"]: each["value"] for each in spec["containers"][0]["env"]}
        assert (told["METRICS_PORT"], told["METRICS_ADDRESS"]) == ("9999", "0.0.0.0")
        ports = {port["name"]: port["containerPort"] for port in spec["containers"][0].get("ports", [])}
        assert ports.get("metrics") == (None if name == "migrate" else 9999)
    found = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    service, monitor = found["Service", "airdeck-metrics"], found["ServiceMonitor", "airdeck"]
    chosen, web = monitor["spec"]["selector"]["matchLabels"].items(), found["Service", "airdeck"]
    assert chosen <= service["metadata"]["labels"].items()
    assert not chosen <= web["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert found["NetworkPolicy", "airdeck-metrics"]["spec"]["ingress"] == [
        {"ports": [{"protocol": "TCP", "port": 9999}], "from": [chart.PROMETHEUS]}
    ]


def test_only_the_processes_that_speak_to_the_cluster_hold_its_token_and_only_when_wished():
    def holders(changes):
        found = pods(chart.rendered(changes))
        return {name for name, spec in found.items() if spec["automountServiceAccountToken"]}

    assert holders({}) == set()
    assert holders(chart.SETS["in-cluster"]) == {"web", "worker", "observer", "register"}
    assert "ClusterRole" not in {each["kind"] for each in chart.rendered({})}


def test_the_rights_in_the_cluster_are_those_of_the_code():
    assert (chart.CHART / "files" / "cluster-roles.yaml").read_text() == manifest.roles()
    objects = chart.rendered(chart.SETS["in-cluster"])
    roles = {each["metadata"]["name"]: each["rules"] for each in objects if each["kind"] == "ClusterRole"}
    applied = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "airdeck-clusterrole.yaml").read_text())
    assert roles == {
        each["metadata"]["name"]: each["rules"] for each in applied if each["kind"] == "ClusterRole"
    }
    (binding,) = (each for each in objects if each["kind"] == "ClusterRoleBinding")
    assert binding["roleRef"]["name"] in roles


def test_the_roles_that_airflows_have_stay_when_the_chart_goes():
    """helm uninstall would else take from every scheduler the right to start a pod."""
    roles = [each for each in chart.rendered(chart.SETS["in-cluster"]) if each["kind"] == "ClusterRole"]
    kept = {
        each["metadata"]["name"]
        for each in roles
        if each["metadata"].get("annotations") == {"helm.sh/resource-policy": "keep"}
    }
    assert kept == set(rules.DELEGATED_ROLES)
    assert len(roles) == len(kept) + 1


def test_its_own_cluster_is_registered_by_itself_when_wished_by_words_that_the_command_knows():
    found = pods(chart.rendered(chart.SETS["in-cluster"]))["register"]
    assert found["initContainers"][0]["name"] == "wait-for-migrations"
    manage, command, *words = found["containers"][0]["args"]
    assert (manage, command) == ("manage", "register_cluster")
    parser = Command().create_parser("manage.py", "register_cluster")
    options = vars(parser.parse_args(words))
    assert (options["name"], options["in_cluster"], options["unless_known"]) == ("Production 1", True, True)
    settings = settings_of(options)
    assert settings == {
        "ingress_domain": "airflow.example.org",
        "worker_grace": "3600",
        "ingress_annotations": '{"a": "b c"}',
    }
    ClusterSettings.of(settings)
    assert options["database_url_file"] == "/etc/airdeck/CLUSTER_DATABASE_URL"
    assert "register" not in pods(chart.rendered({"inCluster": {"enabled": True}}))


def test_the_version_stands_once_and_what_repeats_it_agrees():
    assert yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["appVersion"] == __version__
    assert "\nversion =" not in (ROOT / "pyproject.toml").read_text()
    released = re.findall(r"^## \[?([0-9][^\] ]*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == __version__
