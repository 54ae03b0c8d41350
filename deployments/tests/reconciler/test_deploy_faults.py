"""Deploys that come at the same instant, and a Postgres that is lost at any step of one."""

import threading
from collections.abc import Callable

import pytest
from django.db import OperationalError, connection

from deployments.actions import deploys as deploying
from deployments.domain.deploy_states import DeployStatus
from deployments.models import CodeUpload, Deploy, Deployment
from deployments.reconciler import activation
from deployments.reconciler import deploys as moving
from deployments.tests.archives import DAG
from deployments.tests.reconciler.test_deploys import code, deployed, healthy, run, uploaded  # noqa: F401 - fixtures


def at_once(wishes: list[Callable[[], Deploy]]) -> list[Deploy]:
    """All of them begin at the same instant, each on a connection of its own. Raises what one of them raised."""
    line, made, failed = threading.Barrier(len(wishes)), [], []

    def one(wish: Callable[[], Deploy]) -> None:
        try:
            line.wait(20)
            made.append(wish())
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(wish,)) for wish in wishes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed, failed
    return made


def wish_for(deployment: Deployment, by, upload: CodeUpload) -> Callable[[], Deploy]:
    """As the API asks: what the difference was shown to is not said."""
    mine = Deployment.objects.get(pk=deployment.pk)
    return lambda: deploying.deploy_upload(
        deployment=mine, by=by, upload=upload, seen=None, description="", despite_syntax=False
    )


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient")
def test_of_20_deploys_at_once_the_newest_is_active_and_all_others_are_told(healthy, bob, code):  # noqa: F811
    uploads = [uploaded(healthy, bob, {"one.py": DAG + b"# %d\n" % n}) for n in range(20)]
    at_once([wish_for(healthy, bob, upload) for upload in uploads])
    rows = {deploy.number: deploy for deploy in Deploy.objects.all()}
    assert sorted(rows) == list(range(1, 21))
    run(healthy)
    rows = {deploy.number: deploy for deploy in Deploy.objects.all()}
    assert rows.pop(20).status == DeployStatus.DEPLOYED
    assert {deploy.status for deploy in rows.values()} == {DeployStatus.SUPERSEDED}
    assert [rows[n].sentence for n in rows] == [f"Deploy {n + 1} came before it was active." for n in rows]
    assert code.active() == Deploy.objects.get(number=20).version


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient")
def test_the_same_file_posted_at_once_by_a_form_sent_twice_is_one_deploy(healthy, bob, code):  # noqa: F811
    upload = uploaded(healthy, bob)
    made = at_once([wish_for(healthy, bob, upload) for _ in range(6)])
    assert {deploy.pk for deploy in made} == set(Deploy.objects.values_list("pk", flat=True))
    assert Deploy.objects.count() == 1
    run(healthy)
    assert Deploy.objects.get().status == DeployStatus.DEPLOYED


@pytest.mark.django_db
@pytest.mark.parametrize(
    "point", ["deploys.after_check", "deploys.after_build", "activation.after_activation"]
)
def test_a_lost_postgres_leaves_the_old_code_and_the_deploy_goes_on(healthy, bob, code, monkeypatch, point):  # noqa: F811
    deployed(healthy, bob)
    run(healthy)
    old = code.active()
    newer = deployed(healthy, bob, {"two.py": DAG})
    lost = []

    def lose(name: str) -> None:
        if name == point and not lost:
            lost.append(code.active())
            raise OperationalError("server closed the connection unexpectedly")

    for module in (moving, activation):
        monkeypatch.setattr(module, "failpoint", lose)
    with pytest.raises(OperationalError):
        run(healthy)
    assert lost == [newer.version if point == "activation.after_activation" else old]
    Deployment.objects.update(lease_until=None)
    run(healthy)
    newer.refresh_from_db()
    assert newer.status == DeployStatus.DEPLOYED
    assert code.active() == newer.version == Deployment.objects.get(pk=healthy.pk).code_version
