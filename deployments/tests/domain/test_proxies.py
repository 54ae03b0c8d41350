"""Behind a proxy, Airflow's own parts still reach each other: what is completed, and that both data planes use it."""

import os
from dataclasses import replace

import httpx
import pytest

from deployments.dataplane.kubernetes import names
from deployments.dataplane.local import environment as airflow_env
from deployments.domain.proxies import completed
from deployments.domain.states import Executor
from deployments.models import EnvironmentVariable
from deployments.tests.dataplane.kubernetes import samples
from deployments.tests.dataplane.local import test_environment

PROXY = "http://proxy.example.org:3128"


def reached_directly(monkeypatch, environment: dict[str, str], url: str) -> bool:
    """Whether httpx, with which Airflow's tasks and its API server ask, asks `url` without the proxy."""
    for key in [key for key in os.environ if key.lower().endswith("_proxy")]:
        monkeypatch.delenv(key)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    with httpx.Client() as client:
        transport = client._transport_for_url(httpx.URL(url))
        return transport is client._transport


@pytest.mark.parametrize("key", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("no_proxy", [{}, {"NO_PROXY": "a.example, b.example"}, {"no_proxy": "c.example"}])
def test_tasks_reach_their_api_server_on_this_machine(monkeypatch, key, no_proxy):
    given = replace(test_environment.release(Executor.LOCAL), environment={key: PROXY, **no_proxy})
    environment = airflow_env.airflow_environment(given, test_environment.SECRETS, test_environment.layout())
    url = environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    chosen = {name: value for name, value in environment.items() if name.lower().endswith("_proxy")}
    assert not reached_directly(monkeypatch, {key: PROXY}, url)
    assert reached_directly(monkeypatch, chosen, url)
    assert not reached_directly(monkeypatch, chosen, "http://elsewhere.example/")
    for own in ",".join(no_proxy.values()).split(","):
        assert own.strip() in chosen["no_proxy"].split(",") or not own
    assert chosen["no_proxy"] == chosen["NO_PROXY"]


@pytest.mark.parametrize("executor", Executor)
def test_pods_reach_each_other_and_the_kubernetes_api(monkeypatch, executor):
    asked = samples.inputs(executor, environment={"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY})
    objects = samples.lasting(asked)
    variables = objects["ConfigMap", names.VARIABLES]["data"]
    settings = objects["ConfigMap", names.SETTINGS]["data"]
    for url in (
        settings["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"],
        f"https://{settings['KUBERNETES_SERVICE_HOST']}:443/api",
    ):
        assert reached_directly(monkeypatch, variables, url)
    (container,) = objects["Deployment", names.API_SERVER]["spec"]["template"]["spec"]["containers"]
    own = {each["name"]: each.get("value") for each in container["env"]}
    assert reached_directly(
        monkeypatch, {**variables, **{"http_proxy": own["http_proxy"]}}, "http://10.2.3.4:8793/log"
    )


def test_a_proxy_restarts_what_reads_it_and_without_one_nothing_is_added():
    before, after = samples.inputs(environment={}), samples.inputs(environment={"HTTPS_PROXY": PROXY})
    assert {kind for kind, _ in samples.changed(before, after)} == {"ConfigMap", "Deployment"}
    assert "no_proxy" not in samples.lasting(before)["ConfigMap", names.VARIABLES]["data"]
    assert completed({"A": "1"}, {"B": "2"}, ("x",)) == ({"A": "1"}, {"B": "2"})


def test_a_secret_list_of_exceptions_stays_secret_and_a_star_stays_a_star():
    plain, secret = completed({"HTTP_PROXY": PROXY}, {"NO_PROXY": "hidden.example"}, ("api-server",))
    assert plain == {"HTTP_PROXY": PROXY}
    assert secret["no_proxy"] == secret["NO_PROXY"] == "hidden.example,localhost,127.0.0.1,api-server"
    assert completed({"HTTP_PROXY": PROXY, "NO_PROXY": "*"}, {}, ("x",))[0]["no_proxy"] == "*"


@pytest.mark.django_db
def test_the_page_says_so(as_, vera, deployment, driver):
    url, sentence = (
        f"{deployment.url}variables/",
        "adds the addresses of this Deployment's own parts to NO_PROXY",
    )
    assert sentence not in as_(vera).get(url).content.decode()
    EnvironmentVariable.objects.create(deployment=deployment, key="https_proxy", value=PROXY)
    assert sentence in as_(vera).get(url).content.decode()
