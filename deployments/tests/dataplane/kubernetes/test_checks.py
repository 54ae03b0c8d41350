"""What registration finds out: the verdicts as tables, and the asking over HTTPS, against the emulator and (with
KUBECONFIG_TEST) a real API server."""

import os
from pathlib import Path

import pytest
import yaml

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.contract import ClusterConfig, DataPlaneError
from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.api.credentials import parse
from deployments.dataplane.kubernetes.api.transport import connection_to
from deployments.dataplane.kubernetes.checks import postgres_verdicts, verdicts
from deployments.dataplane.kubernetes.checks.examine import examine
from deployments.dataplane.kubernetes.checks.postgres_verdicts import Server
from deployments.dataplane.kubernetes.checks.verdicts import CheckState
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.rbac import manifest, rules
from deployments.dataplane.kubernetes.rbac.rules import Right
from deployments.tests.dataplane.kubernetes.answers import Answer
from deployments.tests.dataplane.kubernetes.emulator import Emulator

ADMIN = postgres.url(STATE, "postgres")
REAL = os.environ.get("KUBECONFIG_TEST", "")
ROOT = Path(__file__).resolve().parents[4]

GOOD = Server(180001, False, True, True, 300, 3, 40)


def config(kubeconfig: str, url: str = ADMIN, **settings: str) -> ClusterConfig:
    return ClusterConfig("c1", "kubernetes", url, {**parse(kubeconfig).settings(), **settings})


def states(found) -> dict[str, str]:
    return {check.key: check.state.value for check in found}


@pytest.fixture
def emulator():
    with Emulator() as running:
        for name in rules.DELEGATED_ROLES:
            role = {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": name},
            }
            api_of(running).apply(path_of(role["apiVersion"], "ClusterRole", "", name), role)
        yield running


def api_of(emulator: Emulator) -> Api:
    return Api(connection_to(emulator.credentials), 30.0)


# -- Verdicts --


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ({"major": "1", "minor": "36", "gitVersion": "v1.36.3"}, CheckState.OK),
        ({"major": "1", "minor": "30+", "gitVersion": "v1.30.2-gke.1"}, CheckState.OK),
        ({"major": "1", "minor": "29", "gitVersion": "v1.29.0"}, CheckState.MISSING),
        ({}, CheckState.MISSING),
        ({"major": [1], "minor": None, "gitVersion": 7}, CheckState.MISSING),
    ],
)
def test_the_version_must_be_one_that_we_support(found, state):
    assert verdicts.version(found).state is state


def test_missing_rights_are_listed_and_optional_ones_are_not_missed():
    lacking = [Right("", "pods", "list"), Right("", "pods", "watch"), Right("apps", "deployments", "patch")]
    check = verdicts.access([*lacking, Right("keda.sh", "scaledobjects", "get", optional=True)], 100)
    assert check.state is CheckState.MISSING
    assert check.sentence.startswith(
        "3 of 100 rights are missing: list, watch on pods; patch on apps/deployments."
    )
    assert verdicts.ROLE_FILE in check.sentence
    assert (
        verdicts.access([Right("keda.sh", "scaledobjects", "get", optional=True)], 100).state is CheckState.OK
    )


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (GOOD, {"postgres": "ok", "postgres_rights": "ok", "connections": "ok"}),
        (Server(130011, True, True, True, 300, 3, 0), {"postgres": "missing", "postgres_rights": "warning"}),
        (Server(160004, False, True, False, 100, 3, 0), {"postgres_rights": "missing"}),
        (
            Server(160004, False, False, True, 100, 3, 70),
            {"postgres_rights": "missing", "connections": "warning"},
        ),
    ],
)
def test_postgres_is_judged_by_version_rights_and_room(server, expected):
    assert states(postgres_verdicts.database(server)).items() >= expected.items()


def test_a_postgres_says_for_how_many_there_is_room():
    sentence = postgres_verdicts.database(GOOD)[2].sentence
    assert sentence == (
        "40 of 297 connections are used; there is room for about 9 more Deployments at 20 each."
    )


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("postgresql://a:b@db.internal:5432/postgres", "ok"),
        ("postgresql://a:b@10.0.0.9/postgres", "ok"),
        ("postgresql://a:b@localhost/postgres", "warning"),
        ("postgresql://a:b@127.0.0.2/postgres", "warning"),
        ("postgresql://a:b@[::1]/postgres", "warning"),
        ("postgresql://a:b@/postgres?host=/run/pg", "warning"),
    ],
)
def test_an_address_that_pods_cannot_mean_is_said(url, state):
    assert postgres_verdicts.database_address(url)[0].state.value == state
    assert "a:b" not in postgres_verdicts.database_address(url)[0].sentence


def test_the_ingress_class_is_the_chosen_one_or_the_default():
    nginx = {"metadata": {"name": "nginx"}}
    default = {
        "metadata": {"name": "alb", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    }
    table = [
        ([nginx, default], "", "ok"),
        ([nginx], "", "warning"),
        ([], "", "warning"),
        ([nginx], "nginx", "ok"),
    ]
    for classes, desired, state in [*table, ([nginx], "alb", "warning")]:
        found = verdicts.ingress(classes, ClusterSettings(ingress_class=desired, ingress_domain="a.example"))
        assert states(found) == {"ingress_class": state, "domain": "ok"}


@pytest.mark.parametrize(
    ("let_in", "kept_out", "state", "words"),
    [
        (True, False, "ok", "Isolation enforced"),
        (True, True, "warning", "Isolation is not enforced"),
        (False, False, "unchecked", "Not checked"),
        (None, None, "unchecked", "Not checked"),
    ],
)
def test_isolation_is_enforced_only_when_one_gets_in_and_the_other_does_not(let_in, kept_out, state, words):
    check = verdicts.isolation(let_in, kept_out)
    assert (check.state.value, check.sentence.startswith(words)) == (state, True)


def test_words_from_a_cluster_are_cut_and_cleaned():
    hostile = "\x1b[31mred\x1b[0m\u202e" + "x" * 5000
    for check in (
        verdicts.failed("a", "A", DataPlaneError(hostile)),
        verdicts.version({"major": "1", "minor": "36", "gitVersion": hostile}),
        verdicts.ingress([{"metadata": {"name": hostile}}], ClusterSettings())[0],
        verdicts.not_isolated(hostile),
    ):
        assert len(check.sentence) < 800
        assert check.sentence.isprintable()


# -- The role's file --


def test_the_file_of_the_role_is_the_list_of_permissions():
    path = ROOT / "deploy" / "kubernetes" / "airdeck-clusterrole.yaml"
    assert path.read_text() == manifest.text(), f"python -m {manifest.__name__} > {path.relative_to(ROOT)}"
    documents = list(yaml.safe_load_all(path.read_text()))
    assert [d["kind"] for d in documents] == [
        "Namespace",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
    ] + ["ClusterRole"] * len(rules.DELEGATED_ROLES)
    granted = {
        (group, resource, verb)
        for rule in documents[2]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == {(r.group, r.resource, r.verb) for r in rules.rights()}
    assert not granted & {(rules.RBAC, "clusterroles", verb) for verb in ("escalate", "create", "patch")}
    assert "*" not in path.read_text().replace(" *", "")


# -- Asking --


def test_a_good_cluster_misses_nothing(emulator):
    found = examine(config(emulator.kubeconfig, ingress_domain="airflow.example"))
    assert "missing" not in states(found).values(), [c.sentence for c in found]
    reviews = [call for _, call in emulator.calls if "selfsubjectaccessreviews" in call]
    assert len(reviews) == len(list(rules.rights()))


def test_missing_rights_and_roles_are_named():
    with Emulator() as emulator:
        emulator.denied = {"patch deployments", "create pods"}
        found = {c.key: c for c in examine(config(emulator.kubeconfig))}
    assert (found["rights"].state, found["roles"].state) == (CheckState.MISSING, CheckState.MISSING)
    assert "patch on apps/deployments" in found["rights"].sentence
    assert "create on pods" in found["rights"].sentence


@pytest.mark.parametrize(
    ("script", "key", "words"),
    [
        (("GET /version", Answer(status=401)), "api", "rejects Airdeck's credentials"),
        (("GET /version", Answer(status=500, message="boom")), "api", "failed with HTTP 500"),
        (("GET /version", Answer(act="truncate")), "api", "ended too early: IncompleteRead"),
        (("selfsubjectaccessreviews", Answer(status=403, message="no")), "rights", "may not do this"),
        (("GET .*ingressclasses", Answer(status=403, message="no")), "ingress_class", "may not do this"),
    ],
)
def test_what_cannot_be_asked_is_said_and_the_rest_is_checked(emulator, script, key, words):
    emulator.script(script[0], script[1], always=True)
    found = {c.key: c for c in examine(config(emulator.kubeconfig))}
    assert words in found[key].sentence
    assert found[key].state in (CheckState.MISSING, CheckState.UNCHECKED)
    assert found["postgres"].state is CheckState.OK


def test_a_cluster_and_a_postgres_that_are_not_there_are_said_without_the_password(emulator):
    nowhere = config(
        emulator.kubeconfig,
        "postgresql://airdeck:marked-pw@127.0.0.1:1/postgres",
        server="https://127.0.0.1:1",
    )
    found = examine(nowhere)
    assert states(found) == {"api": "missing", "postgres": "missing", "postgres_address": "warning"}
    assert "marked-pw" not in " ".join(c.sentence for c in found)
