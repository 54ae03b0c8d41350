"""What holds of every rendering: references lead somewhere, names fit, selectors select, nobody gets a key too many."""

import base64
import hashlib
import json
import re
from collections import Counter

import pytest

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.kubernetes.manifests import Manifest, sizes
from deployments.dataplane.kubernetes.manifests import configuration as conf
from deployments.dataplane.kubernetes.rbac import rules
from deployments.dataplane.kubernetes.watch.kinds import KINDS
from deployments.domain.spec import Size
from deployments.tests.dataplane.kubernetes import samples

LABEL = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")
EVERY = dict(samples.every(("3.3",)))
DATABASE, JWT = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__API_AUTH__JWT_SECRET"
OURS = {
    names.LABEL_PART_OF,
    names.LABEL_MANAGED_BY,
    names.LABEL_DEPLOYMENT,
    names.LABEL_INSTANCE,
    names.LABEL_NAME,
}


@pytest.fixture(params=EVERY)
def asked(request):
    return EVERY[request.param]


@pytest.fixture
def objects(asked) -> list[Manifest]:
    return samples.documents(asked)


def test_rendering_twice_gives_equal_documents(asked, objects):
    assert objects == samples.documents(asked)


def test_no_object_is_rendered_twice(objects):
    counted = Counter((each["kind"], each["metadata"]["name"]) for each in objects)
    assert set(counted.values()) == {1}


def test_every_object_lies_in_the_namespace_and_says_whose_it_is(asked, objects):
    for each in objects:
        meta = each["metadata"]
        assert meta.get("namespace", asked.namespace) == asked.namespace
        assert meta["labels"].keys() >= OURS
        assert meta["labels"][names.LABEL_DEPLOYMENT] == asked.release.deployment_id


def test_every_name_and_label_is_legal(objects):
    for each in objects:
        name = each["metadata"]["name"]
        assert LABEL.match(name), name
        if each["kind"] in ("Deployment", "Job", "CronJob"):
            assert len(name) <= names.LONGEST_OBJECT
        assert all(LABEL_VALUE.match(value) for value in each["metadata"]["labels"].values())
    for _, labels, _ in samples.pods(objects):
        assert all(LABEL_VALUE.match(value) for value in labels.values())


def test_no_list_is_sent_empty(objects):
    """The API server drops it, so that every apply of it would count as a change (NetworkPolicy of 1.36 did)."""

    def lists(value):
        if isinstance(value, dict):
            for each in value.values():
                yield from lists(each)
        elif isinstance(value, list):
            yield value
            for each in value:
                yield from lists(each)

    assert all(found for each in objects for found in lists(each))


def test_no_secret_occurs_outside_a_secret(asked, objects):
    """Nor anything from which a short one could be guessed."""
    values = [v for each in objects if each["kind"] == "Secret" for v in samples.decoded(each).values()]
    secret = asked.secrets
    values += [
        *secret.variables.values(),
        secret.redis_password,
        secret.admin_password,
        secret.database_password,
    ]
    values = [value for value in values if "marked" in value]
    assert len(values) > 5
    public = json.dumps([each for each in objects if each["kind"] != "Secret"])
    for value in values:
        raw = value.encode()
        for form in (value, json.dumps(value)[1:-1], base64.b64encode(raw).decode()):
            assert form not in public
        assert hashlib.sha256(raw).hexdigest()[:16] not in public
    assert "marked" not in public


def test_neither_inputs_nor_renderings_show_secrets_in_their_repr(asked):
    assert "marked" not in repr(asked) + repr(samples.render(asked)) + repr(asked.settings)


def test_a_selector_selects_the_pods_of_its_own_object_and_no_other(objects):
    pods = list(samples.pods(objects))
    for each in objects:
        if each["kind"] not in ("Deployment", "PodDisruptionBudget", "Service"):
            continue
        found = each["spec"]["selector"]
        desired = (found if each["kind"] == "Service" else found["matchLabels"]).items()
        chosen = [pod for pod, labels, _ in pods if desired <= labels.items()]
        assert chosen == [f"Deployment/{each['metadata']['name']}"]


def test_no_version_stands_in_a_pod_or_a_selector(objects):
    assert all(names.LABEL_VERSION not in labels for _, labels, _ in samples.pods(objects))
    for each in objects:
        assert names.LABEL_VERSION not in json.dumps(each.get("spec", {}).get("selector", {}))


def test_what_a_pod_refers_to_is_there(objects):
    there = samples.by_id(objects)
    for pod, _, spec in samples.pods(objects):
        assert ("ServiceAccount", spec["serviceAccountName"]) in there
        volumes = {volume["name"]: volume for volume in spec.get("volumes", ())}
        for volume in volumes.values():
            if "configMap" in volume and not volume["configMap"].get("optional"):
                assert ("ConfigMap", volume["configMap"]["name"]) in there
            if "secret" in volume:
                assert ("Secret", volume["secret"]["secretName"]) in there
        for container in samples.containers(spec):
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes.keys(), pod
            mounts = [mount["mountPath"] for mount in container.get("volumeMounts", ())]
            assert len(mounts) == len(set(mounts))
            for source in container.get("envFrom", ()):
                kind = "ConfigMap" if "configMapRef" in source else "Secret"
                assert (kind, next(iter(source.values()))["name"]) in there
            for reference in samples.key_references(container):
                assert reference["key"] in there["Secret", reference["name"]]["data"]
        for pull in spec.get("imagePullSecrets", ()):
            assert there["Secret", pull["name"]]["type"] == "kubernetes.io/dockerconfigjson"


def test_no_container_names_a_variable_twice(objects):
    for _, _, spec in samples.pods(objects):
        for container in samples.containers(spec):
            env = [each["name"] for each in container.get("env", ())]
            assert len(env) == len(set(env))


def test_ours_win_over_the_users_variables(objects):
    """The later source wins, and what stands in `env` wins over all sources."""
    for _, _, spec in samples.pods(objects):
        for container in samples.containers(spec):
            if sources := container.get("envFrom"):
                found = [next(iter(each.values()))["name"] for each in sources]
                assert found == [names.VARIABLES, names.VARIABLES, names.SETTINGS]
            # In `value` Kubernetes expands $(NAME): the users' texts never stand there.
            assert all(
                "$(" not in each.get("value", "") or each["value"] == "$(POD_NAME)"
                for each in container.get("env", ())
            )


def test_workers_and_task_pods_get_neither_the_database_nor_the_signing_key(objects):
    seen = set()
    for _, labels, spec in samples.pods(objects):
        component = labels[names.LABEL_COMPONENT]
        keys = {each["key"] for container in spec["containers"] for each in samples.key_references(container)}
        if component in (names.WORKER, names.TASK, names.CLEANUP, names.REDIS):
            assert not keys & {DATABASE, JWT}
        if JWT in keys:
            seen.add(component)
    assert seen == {names.API_SERVER, names.SCHEDULER}


def test_only_pods_that_hold_a_role_get_a_token(objects):
    bound = {each["metadata"]["name"] for each in objects if each["kind"] == "RoleBinding"}
    for pod, _, spec in samples.pods(objects):
        assert spec["automountServiceAccountToken"] is (spec["serviceAccountName"] in bound), pod
    lent = {each["roleRef"]["name"] for each in objects if each["kind"] == "RoleBinding"}
    assert lent <= rules.DELEGATED_ROLES.keys()


def test_every_container_names_its_resources_and_no_service_links(objects):
    for _, _, spec in samples.pods(objects):
        assert spec["enableServiceLinks"] is False
        for container in samples.containers(spec):
            resources = container["resources"]
            assert resources["requests"].keys() == {"cpu", "memory"}
            assert resources["limits"] == {"memory": resources["requests"]["memory"]}


def test_the_quota_has_room_for_all_workers_and_a_rollout(asked, objects):
    quota = samples.by_id(objects)["ResourceQuota", "airdeck"]["spec"]["hard"]
    cpu, memory, count = 0, 0, 0
    for each in objects:
        if each["kind"] != "Deployment":
            continue
        labels = each["metadata"]["labels"]
        queue = next((q for q in asked.release.queues if q.name == labels.get(names.LABEL_QUEUE)), None)
        typical = sizes.replicas(asked.release)
        number = 2 * queue.max_workers if queue else typical[each["metadata"]["name"]] + 1
        number = 1 if each["metadata"]["name"] == names.REDIS else number
        request = each["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
        cpu += number * _cpu(request["cpu"])
        memory += number * int(request["memory"].removesuffix("Mi"))
        count += number
    assert _cpu(quota["requests.cpu"]) >= cpu
    assert int(quota["requests.memory"].removesuffix("Mi")) >= memory
    assert int(quota["pods"]) >= count
    assert quota["limits.memory"] == quota["requests.memory"]


def test_services_and_the_ingress_lead_to_a_port_of_a_container(asked, objects):
    ports = samples.ports(objects)
    services = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "Service"}
    for name, spec in services.items():
        for port in spec["ports"]:
            assert ports[name][port["targetPort"]] == port["port"]
    ingresses = [each for each in objects if each["kind"] == "Ingress"]
    assert bool(ingresses) is bool(asked.address)
    for each in ingresses:
        rule = each["spec"]["rules"][0]
        backend = rule["http"]["paths"][0]["backend"]["service"]
        assert backend["port"]["name"] in {port["name"] for port in services[backend["name"]]["ports"]}
        assert f"https://{rule['host']}" == asked.address
        settings = samples.by_id(objects)["ConfigMap", names.SETTINGS]["data"]
        assert settings["AIRFLOW__API__BASE_URL"] == asked.address


def test_the_console_may_make_watch_and_remove_every_kind(objects):
    watched = {kind.kind for kind in KINDS}
    for each in objects:
        group, _, _ = each["apiVersion"].rpartition("/")
        resource = path_of(each["apiVersion"], each["kind"], "").rpartition("/")[2]
        for verb in rules.OWN:
            assert rules.allowed(group, resource, verb), (group, resource, verb)
        assert each["kind"] in watched


def test_what_reads_a_secret_or_config_map_comes_after_it(objects):
    order = [each["kind"] for each in objects]
    assert order[0] == "Namespace"
    last_source = max(number for number, kind in enumerate(order) if kind in ("ConfigMap", "ServiceAccount"))
    assert last_source < min(order.index("Job"), order.index("Deployment"))


def test_the_template_namespace_holds_one_job_that_reaches_the_database_alone(asked):
    objects = samples.templates(asked)
    assert [each["kind"] for each in objects if each["kind"] not in ("NetworkPolicy", "Secret")] == [
        "Namespace",
        "ServiceAccount",
        "Job",
    ]
    labels = objects[0]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert names.LABEL_DEPLOYMENT not in labels
    _, pod_labels, spec = next(samples.pods(objects))
    policy = samples.by_id(objects)["NetworkPolicy", names.MIGRATION]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= pod_labels.items()
    assert policy["egress"][0]["ports"] == [{"protocol": "TCP", "port": 5432}]
    reference = samples.key_references(spec["containers"][0])[0]
    value = samples.decoded(samples.by_id(objects)["Secret", reference["name"]])[reference["key"]]
    assert value.startswith("postgresql+psycopg2://airdeck_template_3_3_1:marked-template-password@10.9.0.5/")
    public = json.dumps([each for each in objects if each["kind"] != "Secret"])
    assert "marked" not in public


@pytest.mark.parametrize(
    ("shape", "several"),
    [
        ("smallest", set()),
        ("high-availability", {"api-server", "scheduler", "triggerer", "worker-default", "worker-heavy"}),
    ],
)
def test_a_budget_stands_where_two_pods_are_and_nowhere_else(shape, several):
    """On a single pod it would block the drain of a node for ever."""
    found = samples.lasting(samples.inputs(shape=shape))
    budgets = {name: each["spec"] for (kind, name), each in found.items() if kind == "PodDisruptionBudget"}
    assert budgets.keys() == several
    assert all(spec["maxUnavailable"] == 1 and "minAvailable" not in spec for spec in budgets.values())


@pytest.mark.parametrize(("shape", "kept"), [("smallest", False), ("largest", True)])
def test_a_password_is_there_where_an_operator_keeps_it_alone(shape, kept):
    found = samples.lasting(samples.inputs(shape=shape))
    assert (("Secret", names.LOGIN) in found) == kept
    reader = found["Deployment", names.API_SERVER]["spec"]["template"]["spec"]["containers"][0]
    desired = {each["name"]: each.get("value", "") for each in reader["env"]}
    assert ("AIRFLOW__AIRDECK__PASSWORD_FILE" in desired) == kept
    assert (f"{conf.OURS}/login" in [each["mountPath"] for each in reader["volumeMounts"]]) == kept


def test_the_api_server_alone_signs_people_in_and_its_list_changes_under_it():
    found = samples.lasting(samples.inputs())
    for (kind, name), each in found.items():
        if kind != "Deployment":
            continue
        (container,) = each["spec"]["template"]["spec"]["containers"]
        environment = {one["name"]: one.get("value", "") for one in container.get("env", ())}
        assert ("AIRFLOW__CORE__AUTH_MANAGER" in environment) == (name == names.API_SERVER), name
    container = found["Deployment", names.API_SERVER]["spec"]["template"]["spec"]["containers"][0]
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    environment = {one["name"]: one.get("value", "") for one in container["env"]}
    assert "subPath" not in mounts[f"{conf.OURS}/people"]  # such a file never changes
    assert environment["AIRFLOW__AIRDECK__PEOPLE"] == f"{conf.OURS}/people/{conf.PEOPLE_FILE}"
    for file in conf.SIGN_IN_FILES:
        assert mounts[f"/opt/airflow/config/{file}"]["subPath"] == file


def test_sizes_are_written_as_kubernetes_writes_them():
    assert sizes.resources(Size(500, 1920)) == {
        "requests": {"cpu": "500m", "memory": "1920Mi"},
        "limits": {"memory": "1920Mi"},
    }
    assert sizes.cpu(Size(3000, 1)) == "3"


def _cpu(text: str) -> int:
    return int(text.removesuffix("m")) if text.endswith("m") else 1000 * int(text)
