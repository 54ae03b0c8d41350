"""Packages of a deploy: resolved before anything changes, installed before anything restarts, gone back to, and found
out anew for another runtime."""

import re
from datetime import timedelta
from html import unescape
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from deployments.actions import deploys as deploying
from deployments.actions import hibernation, upgrade
from deployments.dataplane.contract import Ref
from deployments.domain.deploy_states import DeployStatus
from deployments.domain.states import Status, StepState
from deployments.models import CodeUpload, Deploy, Deployment, PackageSet, RuntimeRelease
from deployments.queries.releases import release_of
from deployments.reconciler import activation
from deployments.reconciler import deploys as moving
from deployments.reconciler import packages as finding
from deployments.tests.archives import DAG, tar_gz
from deployments.tests.reconciler.test_deploys import again, deployed, healthy, run, states, uploaded  # noqa: F401

pytestmark = pytest.mark.django_db

PANDAS = {"one.py": DAG, "requirements.txt": b"pandas>=2\n# a comment\n"}
POLARS = {"one.py": DAG, "requirements.txt": b"polars\npandas>=2\n"}
CLASH = "These do not fit together: old-friend needs sqlalchemy<2; runtime 3.3-1 has sqlalchemy 2.0.54."


@pytest.fixture
def store(driver, healthy):  # noqa: F811
    """What the scripted data plane has of its packages."""
    return driver.package_stores.setdefault(healthy.release_name, driver.packages(_ref(healthy)))


def _ref(deployment: Deployment):
    return Ref(str(deployment.pk), deployment.release_name)


def restarts(driver, deployment: Deployment) -> int:
    return len(driver.worlds[deployment.release_name].lines["scheduler"])


def packages_of(deployment: Deployment) -> str:
    return release_of(deployment, list(deployment.queues.select_related("worker_type"))).packages


def url(deployment: Deployment, name: str, *more: object) -> str:
    return reverse(f"deployments:{name}", args=[deployment.release_name, *more])


def text(answer) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))


def send(client, deployment: Deployment, files: dict[str, bytes]) -> str:
    file = SimpleUploadedFile("code.tar.gz", tar_gz(files))
    return client.post(url(deployment, "deploy_new"), {"archive": file})["Location"]


def test_packages_are_found_out_and_installed_before_the_code_is_active_and_then_it_restarts(
    healthy,  # noqa: F811
    bob,
    driver,
    store,
):
    before = restarts(driver, healthy)
    deploy = deployed(healthy, bob, PANDAS)
    store.slow_resolve, store.slow_install = 9, 1
    sentences = set()
    for _ in range(20):
        again(healthy)
        sentences.add(deploy.steps.get(key="packages").sentence)
        if store.slow_install:
            assert restarts(driver, healthy) == before
            assert driver.codes[healthy.release_name].active() == ""
    run(healthy)
    deploy.refresh_from_db()
    assert {"Resolving the packages.", "Installing packages."} <= sentences
    assert deploy.status == DeployStatus.DEPLOYED
    assert deploy.packages == {"pandas": "1.0"}
    assert states(deploy)["packages"] == StepState.DONE
    assert deploy.steps.get(key="packages").sentence == "1 package beyond those of runtime 3.3-1."
    assert packages_of(healthy) in store.installed
    assert restarts(driver, healthy) > before
    assert healthy.status == Status.HEALTHY


def test_code_alone_restarts_nothing_and_finds_out_nothing_again(healthy, bob, driver, store):  # noqa: F811
    deployed(healthy, bob, PANDAS)
    run(healthy)
    before, resolved = restarts(driver, healthy), list(store.resolved)
    same = {"two.py": DAG, "requirements.txt": b"# another comment\n\npandas >= 2\n"}
    deploy = deployed(healthy, bob, same)
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.DEPLOYED
    assert deploy.packages == {"pandas": "1.0"}
    assert restarts(driver, healthy) == before
    assert store.resolved == resolved
    assert store.installs == 1


def test_code_without_a_requirements_file_has_no_such_step_and_takes_the_packages_away(
    healthy,  # noqa: F811
    bob,
    driver,
    store,
):
    deployed(healthy, bob, PANDAS)
    run(healthy)
    before = restarts(driver, healthy)
    deploy = deployed(healthy, bob, {"one.py": DAG})
    run(healthy)
    deploy.refresh_from_db()
    assert "packages" not in states(deploy)
    assert (deploy.packages, packages_of(healthy)) == ({}, "")
    assert restarts(driver, healthy) > before


def test_a_clash_says_so_before_anything_restarts_and_the_old_code_runs_on(healthy, bob, driver, store):  # noqa: F811
    first = deployed(healthy, bob)
    run(healthy)
    before = restarts(driver, healthy)
    store.refuse[""] = CLASH
    deploy = deployed(healthy, bob, PANDAS)
    run(healthy)
    deploy.refresh_from_db()
    assert (deploy.status, deploy.sentence) == (DeployStatus.FAILED, CLASH)
    assert states(deploy)["packages"] == StepState.FAILED
    assert driver.codes[healthy.release_name].active() == first.version
    assert restarts(driver, healthy) == before
    assert healthy.status == Status.HEALTHY
    store.refuse.clear()
    deployed(healthy, bob, PANDAS)  # asked again: the index may have changed
    run(healthy)
    assert Deploy.objects.get(number=3).status == DeployStatus.DEPLOYED


def test_an_index_that_is_away_is_tried_again_and_in_the_end_told(healthy, bob, driver, store):  # noqa: F811
    store.fail = "The package index cannot be reached."
    deploy = deployed(healthy, bob, PANDAS)
    run(healthy)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.BUILDING
    assert "Trying again in" in deploy.steps.get(key="packages").sentence
    for _ in range(moving.TRIES):
        Deploy.objects.update(next_try_at=timezone.now())
        run(healthy)
    deploy.refresh_from_db()
    assert (deploy.status, deploy.sentence) == (DeployStatus.FAILED, store.fail)
    assert healthy.status == Status.HEALTHY


@pytest.mark.parametrize("module", [finding, moving, activation])
@pytest.mark.parametrize(
    "point", ["packages.after_resolution", "deploys.after_build", "activation.after_activation"]
)
def test_a_pass_that_dies_anywhere_is_completed_by_the_next(
    healthy,  # noqa: F811
    bob,
    store,
    monkeypatch,
    module,
    point,
):
    deploy = deployed(healthy, bob, PANDAS)
    died: list[str] = []

    def die(name: str) -> None:
        if name == point and not died:
            died.append(name)
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "failpoint", die)
    try:
        run(healthy)
    except KeyboardInterrupt:
        Deployment.objects.update(lease_until=None)
        run(healthy)
    deploy.refresh_from_db()
    assert bool(died) is (point.partition(".")[0] == module.__name__.rpartition(".")[2])
    assert deploy.status == DeployStatus.DEPLOYED
    assert len(store.resolved) == store.installs == 1


def test_going_back_has_the_packages_of_then_without_asking_anybody(healthy, bob, driver, store):  # noqa: F811
    deployed(healthy, bob, PANDAS)
    run(healthy)
    was = packages_of(healthy)
    deployed(healthy, bob, POLARS)
    run(healthy)
    assert packages_of(healthy) != was
    store.fail = "The package index cannot be reached."
    first = Deploy.objects.get(number=1)
    back = deploying.roll_back(deployment=healthy, by=bob, to=first, idempotency_key=uuid4(), description="")
    run(healthy)
    back.refresh_from_db()
    assert (back.status, back.packages) == (DeployStatus.DEPLOYED, {"pandas": "1.0"})
    assert packages_of(healthy) == was


def test_what_no_kept_deploy_needs_is_dropped(healthy, bob, store):  # noqa: F811
    deployed(healthy, bob, PANDAS)
    run(healthy)
    deployed(healthy, bob, POLARS)
    run(healthy)
    assert len(store.installed) == 2
    Deploy.objects.filter(number=1).update(created_at=timezone.now() - timedelta(days=91), manifest=None)
    CodeUpload.objects.all().delete()
    Deploy.objects.filter(number=2).update(watch_until=timezone.now() - timedelta(seconds=1))
    run(healthy)
    assert list(store.installed) == [packages_of(healthy)]
    assert PackageSet.objects.count() == 1


def test_plugins_that_differ_restart_airflow_and_the_review_says_so(healthy, as_, bob, driver, store):  # noqa: F811
    project = {"dags/one.py": DAG, "plugins/p.py": b"P = 1"}
    client = as_(bob)
    shown = text(client.get(send(client, healthy, project)))
    assert "It is a project: its DAGs are in dags/" in shown
    assert "Restarts the API server" in shown
    before = restarts(driver, healthy)
    deployed(healthy, bob, project)
    run(healthy)
    assert restarts(driver, healthy) > before
    before = restarts(driver, healthy)
    project["dags/two.py"] = DAG
    assert "Nothing restarts." in text(client.get(send(client, healthy, project)))
    deployed(healthy, bob, project)
    run(healthy)
    assert Deploy.objects.get(number=2).status == DeployStatus.DEPLOYED
    assert restarts(driver, healthy) == before


# -- Another runtime --


@pytest.fixture
def newer(cluster, monkeypatch):
    monkeypatch.setattr("deployments.clusters.options.runs_on", lambda kind, release: True)
    return RuntimeRelease.objects.create(
        version="3.4-1",
        airflow_version="3.4.0",
        released_on=timezone.now(),
        maintained_until=timezone.now().date() + timedelta(days=90),
    )


def test_an_upgrade_finds_the_packages_out_anew_before_anything_changes(healthy, bob, driver, store, newer):  # noqa: F811
    deployed(healthy, bob, PANDAS)
    run(healthy)
    was, before = packages_of(healthy), restarts(driver, healthy)
    store.slow_resolve = 2
    assert upgrade.upgrade_runtime(deployment=healthy, by=bob, to=newer)
    again(healthy)
    assert restarts(driver, healthy) == before  # the earlier Airflow runs on meanwhile
    assert driver.worlds[healthy.release_name].runtime == "3.3-1"
    for _ in range(6):
        run(healthy)
    assert (healthy.status, healthy.upgrade_error) == (Status.HEALTHY, "")
    assert driver.worlds[healthy.release_name].runtime == "3.4-1"
    assert [runtime for runtime, _ in store.resolved] == ["3.3-1", "3.4-1"]
    assert packages_of(healthy) not in ("", was)


def test_an_upgrade_to_a_runtime_that_clashes_is_given_up_before_anything_changes(
    healthy,  # noqa: F811
    bob,
    driver,
    store,
    newer,
):
    deployed(healthy, bob, PANDAS)
    run(healthy)
    was, before = packages_of(healthy), restarts(driver, healthy)
    store.refuse["3.4-1"] = CLASH
    upgrade.upgrade_runtime(deployment=healthy, by=bob, to=newer)
    for _ in range(4):
        run(healthy)
    assert healthy.status == Status.HEALTHY
    assert healthy.runtime.version == "3.3-1"
    assert CLASH.rstrip(".") in healthy.upgrade_error
    assert restarts(driver, healthy) == before
    assert packages_of(healthy) == was


@pytest.mark.thorough
def test_after_an_upgrade_an_older_deploy_is_gone_back_to_with_packages_for_the_new_runtime(
    healthy,  # noqa: F811
    bob,
    store,
    newer,
):
    deployed(healthy, bob, PANDAS)
    run(healthy)
    deployed(healthy, bob, POLARS)
    run(healthy)
    upgrade.upgrade_runtime(deployment=healthy, by=bob, to=newer)
    for _ in range(6):
        run(healthy)
    finding_retention(healthy, bob)
    first = Deploy.objects.get(number=1)
    deploying.roll_back(deployment=healthy, by=bob, to=first, idempotency_key=uuid4(), description="")
    run(healthy)
    assert store.resolved[-1] == ("3.4-1", ("pandas>=2",))
    assert Deploy.objects.order_by("-number").first().status == DeployStatus.DEPLOYED


def finding_retention(deployment: Deployment, bob) -> None:
    """A deploy that ends its watch: what is not needed is dropped."""
    deployed(deployment, bob, {**POLARS, "three.py": DAG})
    run(deployment)
    Deploy.objects.filter(number=3).update(watch_until=timezone.now() - timedelta(seconds=1))
    run(deployment)
    assert Deploy.objects.get(number=3).watched


def test_one_that_sleeps_gets_its_packages_and_wakes_with_them(healthy, bob, driver, store):  # noqa: F811
    hibernation.hibernate(deployment=healthy, by=bob)
    run(healthy)
    deploy = deployed(healthy, bob, PANDAS)
    run(healthy)
    deploy.refresh_from_db()
    assert (healthy.status, deploy.status) == (Status.HIBERNATING, DeployStatus.DEPLOYED)
    hibernation.wake(deployment=healthy, by=bob)
    run(healthy)
    run(healthy)
    assert healthy.status == Status.HEALTHY
    assert packages_of(healthy) in store.installed


def test_an_environment_that_somebody_removed_is_made_again(healthy, bob, driver, store):  # noqa: F811
    deployed(healthy, bob, PANDAS)
    run(healthy)
    store.installed.clear()
    run(healthy)
    assert packages_of(healthy) in store.installed
    assert healthy.status == Status.HEALTHY
