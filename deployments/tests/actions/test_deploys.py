"""When a deploy is refused, and what it says then."""

import pytest

from console.kit.refusals import InvalidInput
from deployments import actions
from deployments.actions import NotNow, hibernation
from deployments.actions import deploys as deploying
from deployments.actions.refusals import CodeNotTaken, PackagesInCode
from deployments.actions.variables import set_variable
from deployments.domain.code_errors import CodeRefused
from deployments.domain.deploy_states import DeployStatus
from deployments.domain.states import Status, StepState
from deployments.models import CodeUpload, Deploy
from deployments.queries.deploys import OWN_BUNDLES_KEY
from deployments.tests.reconciler.test_deploys import FILES, code, deployed, healthy, run, states, uploaded  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


def test_while_creating_it_is_refused_and_while_deleting_too(deployment, bob, driver):
    with pytest.raises(NotNow, match="being created"):
        uploaded(deployment, bob)
    run(deployment)
    upload = uploaded(deployment, bob)
    actions.delete_deployment(deployment=deployment, by=bob)
    deployment.refresh_from_db()
    with pytest.raises(NotNow, match="being deleted"):
        deploying.deploy_upload(
            deployment=deployment, by=bob, upload=upload, seen="", description="", despite_syntax=False
        )


def test_one_that_sleeps_has_it_when_it_wakes(healthy, bob, code):  # noqa: F811
    hibernation.hibernate(deployment=healthy, by=bob)
    run(healthy)
    assert healthy.status == Status.HIBERNATING
    deploy = deployed(healthy, bob)
    run(healthy)
    deploy.refresh_from_db()
    assert healthy.status == Status.HIBERNATING
    assert deploy.status == DeployStatus.DEPLOYED
    assert code.active() == deploy.version
    assert "hibernating" in deploy.steps.get(key="read").sentence
    hibernation.wake(deployment=healthy, by=bob)
    run(healthy)
    run(healthy)
    assert healthy.status == Status.HEALTHY
    assert states(deploy)["read"] == StepState.DONE


def test_where_packages_come_with_the_image_code_that_asks_for_some_is_refused_with_the_way_out(
    healthy,  # noqa: F811
    bob,
    code,  # noqa: F811
    driver,
):
    driver.takes_packages = False
    asks = {**FILES, "requirements.txt": b"# a comment\npandas\n"}
    with pytest.raises(PackagesInCode, match=r"come with the image\. Put them into an image"):
        uploaded(healthy, bob, asks)
    assert not code.manifests
    assert uploaded(healthy, bob, {**asks, ".airdeckignore": b"requirements.txt\n"}).manifest.files
    assert uploaded(healthy, bob, {**FILES, "requirements.txt": b"# nothing yet\n"}).manifest.files


def test_where_code_comes_with_the_image_that_is_said(healthy, bob, driver):  # noqa: F811
    driver.takes_code = False
    with pytest.raises(NotNow, match="image of the runtime"):
        uploaded(healthy, bob)
    assert run(healthy).status == Status.HEALTHY


def test_bundles_of_ones_own_are_named_before_anything_is_deployed_that_nobody_reads(healthy, bob, code):  # noqa: F811
    set_variable(deployment=healthy, by=bob, key=OWN_BUNDLES_KEY, value="[]", secret=False, seen=None)
    with pytest.raises(NotNow, match="DAG_BUNDLE_CONFIG_LIST"):
        uploaded(healthy, bob)


def test_a_refused_archive_keeps_nothing(healthy, bob, code):  # noqa: F811
    with pytest.raises(CodeNotTaken, match="absolute"):
        uploaded(healthy, bob, {"/etc/x": b"x"})
    assert code.contents == {}
    assert not CodeUpload.objects.exists()


def test_a_description_that_is_too_long_is_refused_by_the_action_and_nothing_is_deployed(healthy, bob, code):  # noqa: F811
    upload = uploaded(healthy, bob)
    with pytest.raises(InvalidInput, match="at most 500 characters") as caught:
        deploying.deploy_upload(
            deployment=healthy, by=bob, upload=upload, seen="", description="x" * 501, despite_syntax=False
        )
    assert list(caught.value.problems) == ["description"]
    assert not Deploy.objects.exists()


def test_a_folder_that_holds_too_much_is_a_sentence_on_the_page(healthy, as_, bob, code, monkeypatch):  # noqa: F811
    def too_much():
        raise CodeRefused("The DAGs folder holds more than a version may.")

    monkeypatch.setattr(code, "folder", too_much)
    answer = as_(bob).post(healthy.url_for("deploy_example"), follow=True)
    assert "The DAGs folder holds more than a version may." in answer.content.decode()
    assert not Deploy.objects.exists()
