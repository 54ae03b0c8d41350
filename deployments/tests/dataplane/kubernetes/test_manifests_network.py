"""Who may talk to whom: both ends agree, only ports that exist are open, and only who asks the database reaches it."""

import json
from dataclasses import replace

import pytest

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.manifests import Manifest
from deployments.domain.states import Executor
from deployments.tests.dataplane.kubernetes import samples

EVERY = dict(samples.every(("3.3",)))
DATABASE, CODE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRDECK_CODE_DATABASE"


@pytest.fixture(params=EVERY)
def objects(request) -> list[Manifest]:
    return samples.documents(EVERY[request.param])


def test_a_policy_selects_pods_and_opens_only_ports_that_they_have(objects):
    ports = samples.ports(objects)
    for each in objects:
        if each["kind"] != "NetworkPolicy" or each["metadata"]["name"] in ("default-deny", "dns"):
            continue
        component = each["spec"]["podSelector"]["matchLabels"][names.LABEL_COMPONENT]
        assert component in {labels[names.LABEL_COMPONENT] for _, labels, _ in samples.pods(objects)}
        for rule in each["spec"].get("ingress", ()):
            assert {port["port"] for port in rule["ports"]} <= set(ports[component].values())


def test_both_ends_of_a_connection_inside_the_namespace_allow_it(objects):
    flows: dict[str, set[tuple[str, str, int]]] = {"ingress": set(), "egress": set()}
    for each in objects:
        if each["kind"] != "NetworkPolicy":
            continue
        own = each["spec"]["podSelector"].get("matchLabels", {}).get(names.LABEL_COMPONENT, "")
        for way, side in (("ingress", "from"), ("egress", "to")):
            for rule in each["spec"].get(way, ()):
                for peer in rule.get(side, ()):
                    if "podSelector" in peer:
                        other = peer["podSelector"]["matchLabels"][names.LABEL_COMPONENT]
                        ends = (other, own) if way == "ingress" else (own, other)
                        flows[way] |= {(*ends, port["port"]) for port in rule["ports"]}
    assert flows["ingress"] == flows["egress"] != set()


def test_whoever_asks_the_database_may_reach_it_and_nobody_else(objects):
    with_url = {
        labels[names.LABEL_COMPONENT]
        for _, labels, spec in samples.pods(objects)
        if {DATABASE, CODE}
        & {each["key"] for container in spec["containers"] for each in samples.key_references(container)}
    }
    reaching = {
        each["metadata"]["name"]
        for each in objects
        if each["kind"] == "NetworkPolicy" and '"port": 5433' in json.dumps(each["spec"].get("egress", []))
    }
    assert reaching == with_url
    assert {names.API_SERVER, names.SCHEDULER, names.MIGRATION, names.CODE_SERVER} <= with_url
    assert not {names.WORKER, names.TASK} & with_url


def test_nothing_is_open_that_no_policy_opens(objects):
    deny = samples.by_id(objects)["NetworkPolicy", "default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_code_of_people_reaches_the_internet_but_neither_private_networks_nor_the_clouds_metadata(objects):
    for each in objects:
        if each["kind"] != "NetworkPolicy":
            continue
        for rule in each["spec"].get("egress", ()):
            for peer in rule.get("to", ()):
                block = peer.get("ipBlock", {})
                if block.get("cidr") == "0.0.0.0/0":
                    assert {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"} <= set(block["except"])
                    assert each["metadata"]["name"] not in (names.REDIS, names.MIGRATION, names.CLEANUP)


def test_the_operators_networks_are_the_only_private_ones():
    policy = samples.lasting(samples.inputs())["NetworkPolicy", names.WORKER]["spec"]["egress"]
    blocks = {peer["ipBlock"]["cidr"] for rule in policy for peer in rule.get("to", ()) if "ipBlock" in peer}
    assert blocks == {"0.0.0.0/0", "::/0", "10.20.0.0/16", "10.21.0.0/16", "172.20.0.1/32"}


def test_the_ui_is_open_to_the_ingress_controllers_namespace_or_to_none():
    def namespaces(**settings: str) -> list[Manifest]:
        found = samples.lasting(samples.inputs(settings=settings))["NetworkPolicy", names.API_SERVER]
        peers = [peer for rule in found["spec"]["ingress"] for peer in rule["from"]]
        return [peer["namespaceSelector"] for peer in peers if "namespaceSelector" in peer]

    controller = {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}
    assert namespaces(ingress_domain="a.b", ingress_namespace="edge") == [controller]
    assert namespaces(ingress_domain="a.b") == [{}]
    assert namespaces() == []


@pytest.mark.parametrize(
    ("named", "sources"),
    [
        ({}, None),  # where the Kubernetes API is is not known: a token of its own guards the port
        (
            {"api_cidrs": "172.20.0.1/32"},
            [
                {"ipBlock": {"cidr": "172.20.0.1/32"}},
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
            ],
        ),
    ],
)
def test_the_kubernetes_api_reaches_the_port_of_logs_and_no_other_of_the_code_server(named, sources):
    found = samples.lasting(samples.inputs(settings=named))["NetworkPolicy", names.CODE_SERVER]
    rules = {rule["ports"][0]["port"]: rule.get("from") for rule in found["spec"]["ingress"]}
    assert rules.pop(8091) == sources
    assert list(rules) == [8090]
    assert all("podSelector" in peer for peer in rules[8090])


@pytest.mark.parametrize(
    ("host", "message", "blocks"),
    [
        ("10.9.0.5", {}, ["10.9.0.5/32"]),
        ("[fd00::5]", {}, ["fd00::5/128"]),
        ("db.internal", {}, []),
        ("db.internal", {"database_cidrs": "10.9.0.0/24,10.9.1.0/24"}, ["10.9.0.0/24", "10.9.1.0/24"]),
    ],
)
def test_the_database_is_fenced_by_address_where_one_is_known(host, message, blocks):
    asked = samples.inputs(Executor.LOCAL, settings=message)
    asked = replace(asked, database_url=f"postgresql://u:p@{host}:6432/d")
    policy = samples.lasting(asked)["NetworkPolicy", names.DAG_PROCESSOR]["spec"]["egress"]
    rule = next(rule for rule in policy if rule.get("ports") == [{"protocol": "TCP", "port": 6432}])
    assert [peer["ipBlock"]["cidr"] for peer in rule.get("to", ())] == blocks
