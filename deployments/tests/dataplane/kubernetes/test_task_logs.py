"""Logs of tasks by way of the Kubernetes API: what a page says while they do not come, and what never leaves."""

import json
import time

import pytest

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes import names, task_logs
from deployments.dataplane.kubernetes.api import services
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.tests.dataplane.kubernetes.emulator import Answer
from deployments.tests.dataplane.task_log_contract import TASK_LOG

PATH = "dag_id=a/run_id=r/task_id=t/attempt=1.log"
PROXY = "GET .*/services/code-server:logs/proxy/"


def why_not(harness, case) -> str:
    """What both questions say, within the time that a person waits."""
    said = set()
    for ask in (
        lambda driver: driver.task_logs(case.ref),
        lambda driver: driver.task_log(case.ref, PATH),
    ):
        began = time.monotonic()
        with pytest.raises(DataPlaneError) as refused:
            ask(harness.bare_driver())
        assert time.monotonic() - began < 5
        said.add(str(refused.value))
    (sentence,) = said
    return sentence


def test_a_code_server_that_does_not_run_is_named_with_what_to_do(harness, own) -> None:
    assert why_not(harness, own) == task_logs.DOES_NOT_RUN  # nothing listens there
    harness.emulator.script(PROXY, Answer(status=503, message="no endpoints available"), always=True)
    assert why_not(harness, own) == task_logs.DOES_NOT_RUN  # no pod is ready, as while it hibernates
    harness.emulator.heal()
    harness.api().delete(path_of("v1", "Service", harness.namespace(own), names.CODE_SERVER), "its Service")
    assert why_not(harness, own) == task_logs.DOES_NOT_RUN


def test_a_pod_that_the_api_server_cannot_reach_is_a_sentence_in_time(harness, own, monkeypatch) -> None:
    monkeypatch.setattr(services, "PATIENCE_SECONDS", 0.3)
    harness.emulator.script(PROXY, Answer("hang"), always=True)
    assert why_not(harness, own) == task_logs.SILENT
    assert harness.bare_driver().observe(own.ref).components  # and holds up nothing else


def test_a_deployment_from_before_says_from_when_on(harness, own) -> None:
    path = path_of("v1", "Secret", harness.namespace(own), names.LOG_READER)
    harness.api().delete(path, "its token")
    assert why_not(harness, own) == task_logs.NOT_YET


def test_a_code_server_that_has_another_token_yet_says_the_same(harness, own) -> None:
    harness.code_server(own)
    path = path_of("v1", "Secret", harness.namespace(own), names.LOG_READER)
    harness.api().merge(path, {"data": {"token": "YW5vdGhlcg=="}}, "its token", "test")
    assert why_not(harness, own) == task_logs.NOT_YET


def test_a_missing_right_is_named(harness, own) -> None:
    harness.emulator.script(
        PROXY, Answer(status=403, reason="Forbidden", message="cannot get services/proxy"), always=True
    )
    assert why_not(harness, own).endswith("Grant the right.")


@pytest.mark.thorough
@pytest.mark.parametrize("body", [{}, {"logs": 3}, {"logs": [[1]]}, {"start": 1}])
def test_what_answers_nonsense_is_not_believed(harness, own, monkeypatch, body) -> None:
    monkeypatch.setattr(services.Services, "ask", lambda *_: (200, json.dumps(body).encode()))
    assert why_not(harness, own) == task_logs.NONSENSE


def test_a_code_server_that_many_read_from_says_to_try_again(harness, own, monkeypatch) -> None:
    monkeypatch.setattr(services.Services, "ask", lambda *_: (429, b"{}"))
    assert why_not(harness, own) == task_logs.CROWDED


def test_something_else_behind_the_name_is_not_taken_for_the_code_server(harness, own, monkeypatch) -> None:
    harness.code_server(own)
    monkeypatch.setattr(services, "PROGRAM", "X-Another-Program")
    assert why_not(harness, own) == task_logs.DOES_NOT_RUN


@pytest.mark.thorough
def test_the_token_and_our_sign_in_reach_only_whom_they_are_for(harness, own) -> None:
    """The API server gets no token in an address; the program gets no sign-in of the console."""
    harness.write_task_log(own, PATH, TASK_LOG)
    before = len(harness.emulator.calls)
    assert harness.bare_driver().task_log(own.ref, PATH).lines
    secret = harness.api().get(path_of("v1", "Secret", harness.namespace(own), names.LOG_READER))
    calls = [call for _, call in harness.emulator.calls[before:]]
    assert len([call for call in calls if "/proxy/" in call]) == 1
    assert not any(secret["data"]["token"] in call for call in calls)
