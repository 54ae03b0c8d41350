"""Every signal as a file of raw objects with the sentence that people read: deployments/tests/kubernetes/health/."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.health import components, instances, job_signals, signals
from deployments.dataplane.kubernetes.health.components import RawState
from deployments.dataplane.kubernetes.text import clean
from deployments.dataplane.postgres.airflow_metadata import Heartbeat
from deployments.domain.states import ComponentState

FIXTURES = {path.stem: path for path in sorted(Path(__file__).with_name("health").glob("*.yaml"))}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def load(name: str) -> dict:
    return yaml.safe_load(FIXTURES[name].read_text())


def facts_of(found: dict) -> RawState:
    beats = found.get("heartbeats", ())
    return RawState(
        now=moment(found["now"]),
        workloads=found["workloads"],
        heartbeats=None
        if beats is None
        else [
            Heartbeat(b["job_type"], b["hostname"], moment(b["began"]), moment(b["latest"])) for b in beats
        ],
        database_problem=found.get("database_trouble", ""),
        pods=found.get("pods"),
        replica_sets=found.get("replica_sets", ()),
        events=found.get("events", ()),
        last_lines=found.get("last_lines", {}),
    )


def of(*, prefix: str) -> list[str]:
    kinds = ("job_", "address_")
    return [n for n in FIXTURES if n.startswith(prefix) and (prefix or not n.startswith(kinds))]


@pytest.mark.parametrize("name", of(prefix=""))
def test_a_component_says_what_is_wrong_with_it_and_what_to_do(name):
    found = load(name)
    expected = dict(found["expect"])
    facts = facts_of(found)
    reported = {c.name: c for c in components.components(facts)}[expected.pop("component")]
    seen = {"state": reported.state.value, "reason": reported.reason}
    assert seen == {key: expected.pop(key) for key in ("state", "reason")}
    assert {key: getattr(reported, key) for key in expected} == expected


@pytest.mark.parametrize("name", of(prefix=""))
def test_reasons_are_asked_for_exactly_when_something_is_not_ready(name):
    found = load(name)
    facts = facts_of({**found, "events": (), "replica_sets": ()})
    states = {component.state for component in components.components(facts)}
    fine = {ComponentState.READY, ComponentState.ABSENT, ComponentState.STOPPING}
    assert components.needs_reasons(facts) is bool(states - fine)


@pytest.mark.parametrize("name", of(prefix=""))
def test_the_pod_that_is_to_blame_is_the_first_that_why_shows(name):
    found = load(name)
    expected = found["expect"]
    facts = facts_of(found)
    shown = instances.instances(facts, expected["component"])
    assert len(shown) == sum(names.component_of(p) == expected["component"] for p in facts.pods or ())
    blamed = expected["reason"] in {one.sentence for one in shown}
    told_by_the_workload = not shown or name in {
        "paused",
        "not_observed_yet",
        "database_silent",
        "worst_first",
        "falling_asleep",
        "workers_drain",
        "ready",
        "ready_after_restarts",
    }
    assert blamed or told_by_the_workload


@pytest.mark.parametrize("name", of(prefix="job_"))
def test_a_migration_says_how_it_stands(name):
    found = load(name)
    reported = job_signals.of_job(
        found["job"], found.get("pods", ()), found.get("events", ()), moment(found["now"])
    )
    assert (reported and {"state": reported.state.value, "sentence": reported.sentence}) == found["expect"]


@pytest.mark.parametrize("name", of(prefix="address_"))
def test_an_address_says_what_it_waits_for(name):
    found = load(name)
    reported = signals.of_address(found["ingress"], moment(found["now"]))
    assert (reported and {"state": reported.state.value, "sentence": reported.sentence}) == found["expect"]


def test_there_is_a_file_for_every_signal():
    assert len(FIXTURES) >= 50


def test_draining_pods_are_counted_and_do_not_make_a_component_unready():
    facts = facts_of(load("workers_drain"))
    assert components.draining(facts.pods, "worker-default") == 1
    assert components.draining(facts.pods, "scheduler") == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\r\nb\tc", "a b c"),
        ("right\u202eleft", "right left"),
        ("nul\x00", "nul"),
        ("\ud800lone", "lone"),
        ("x" * 700, "x" * 599 + "…"),
        (None, ""),
        ({"a": 1}, ""),
    ],
)
def test_text_from_a_cluster_is_made_harmless(text, shown):
    assert clean(text) == shown
