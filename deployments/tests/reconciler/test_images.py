"""An image of a Deployment's own on its way: looked at, rolled out, gone back from; and what is refused."""

import hashlib
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from console.kit.refusals import InvalidInput
from console.tests.html_rules import complaints, words_in
from deployments.actions import NotNow, hibernation, images
from deployments.actions import deploys as deploying
from deployments.actions.refusals import NoImagesHere, NothingToDeploy, RuntimesImage
from deployments.actions.upgrade import upgrade_runtime
from deployments.dataplane.contract import Ref
from deployments.domain import image_reference
from deployments.domain.deploy_states import DeploySource, DeployStatus
from deployments.domain.states import Status, StepState
from deployments.models import Deploy, Deployment, RuntimeRelease
from deployments.queries import upgrades
from deployments.reconciler.images import ROLLOUT
from deployments.secrets import vault
from deployments.tests.archives import DAG
from deployments.tests.pages.test_deploys import text, url
from deployments.tests.reconciler.test_deploys import deployed, healthy, run, states, uploaded  # noqa: F401 - fixtures
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db

ONE, TWO = "registry.example.com/team/airflow:1", "registry.example.com/team/airflow:2"


def pinned(reference: str, of_tag: str = "") -> str:
    digest = hashlib.sha256((of_tag or reference).encode()).hexdigest()
    return image_reference.read(reference).pinned(f"sha256:{digest}")


@pytest.fixture
def checker(healthy, driver):  # noqa: F811
    driver.takes_images = True
    return driver.images(Ref(str(healthy.pk), healthy.release_name))


def asked(deployment: Deployment, by, image: str = ONE, key=None) -> Deploy:
    return images.deploy_image(
        deployment=deployment, by=by, image=image, description="", idempotency_key=key or uuid4()
    )


def settled(deployment: Deployment, deploy: Deploy) -> Deploy:
    for _ in range(3):  # what waits is looked at again
        run(deployment)
    deploy.refresh_from_db()
    return deploy


def test_an_image_is_looked_at_then_rolled_out_and_the_row_says_which_it_is(healthy, bob, checker, driver):  # noqa: F811
    checker.slow = 1
    deploy = asked(healthy, bob)
    assert (deploy.source, deploy.digest, deploy.version) == (DeploySource.IMAGE, "", "")
    run(healthy)
    assert healthy.image == ""  # nothing changed while it is pulled
    assert deploy.steps.get(key="image").sentence == "Pulling the image."
    settled(healthy, deploy)
    assert (deploy.status, deploy.image, deploy.image_pinned) == (DeployStatus.DEPLOYED, ONE, pinned(ONE))
    assert (healthy.status, healthy.image) == (Status.HEALTHY, pinned(ONE))
    assert driver.worlds[healthy.release_name].release.image == pinned(ONE)
    assert states(deploy) == dict.fromkeys(
        ("received", "checked", "image", "built", "activated", "read"), StepState.DONE
    )
    assert "Airflow 3." in deploy.steps.get(key="image").sentence
    assert checker.forgotten == 1
    assert AuditEvent.objects.get(verb="deployed an image to").new["image"] == ONE


def test_a_deploy_of_code_keeps_the_image_and_one_of_an_image_keeps_the_code(healthy, bob, checker, driver):  # noqa: F811
    first = settled(healthy, deployed(healthy, bob))
    image = settled(healthy, asked(healthy, bob))
    assert (image.digest, image.version) == (first.digest, f"2-{first.digest[:12]}")
    assert healthy.code_version == image.version
    later = settled(healthy, deployed(healthy, bob, {"two.py": DAG}))
    assert (later.image, later.image_pinned, later.changes_image) == (ONE, pinned(ONE), False)
    assert (later.status, healthy.image) == (DeployStatus.DEPLOYED, pinned(ONE))
    assert [reference for _, reference in checker.looked] == [ONE]  # once
    with pytest.raises(NothingToDeploy, match="code of deploy 3"):
        deployed(healthy, bob, {"two.py": DAG})


def test_going_back_brings_the_image_of_then_by_its_digest_also_when_the_tag_has_moved(healthy, bob, checker):  # noqa: F811
    settled(healthy, deployed(healthy, bob))
    settled(healthy, asked(healthy, bob))
    settled(healthy, asked(healthy, bob, TWO))
    checker.tags[ONE] = "something newer"
    back = deploying.roll_back(
        deployment=healthy,
        by=bob,
        to=Deploy.objects.get(number=2),
        idempotency_key=uuid4(),
        description="",
    )
    settled(healthy, back)
    assert (back.status, back.image_pinned, healthy.image) == (
        DeployStatus.DEPLOYED,
        pinned(ONE),
        pinned(ONE),
    )
    to_the_runtimes = deploying.roll_back(
        deployment=healthy,
        by=bob,
        to=Deploy.objects.get(number=1),
        idempotency_key=uuid4(),
        description="",
    )
    settled(healthy, to_the_runtimes)
    assert (to_the_runtimes.status, healthy.image) == (DeployStatus.DEPLOYED, "")
    assert to_the_runtimes.steps.get(key="image").sentence == "The image of the runtime."


def test_the_page_of_going_back_says_each_thing_once(healthy, bob, as_, checker):  # noqa: F811
    """Other plugins and another image restart the same components."""
    settled(healthy, deployed(healthy, bob, {"dags/a.py": DAG, "plugins/p.py": b"one = 1"}))
    settled(healthy, deployed(healthy, bob, {"dags/a.py": DAG, "plugins/p.py": b"two = 2"}))
    settled(healthy, asked(healthy, bob))
    page = as_(bob).get(url(healthy, "deploy_back", 1))
    said = page.context["consequences"]
    assert len(said) == len(set(said))
    assert [each for each in said if each.startswith("Restarts ")] == [
        "Restarts the API server, the scheduler, the DAG processor and the triggerer."
    ]
    assert "It goes back to the image of the runtime." in said
    assert not any("The deployed code stays active" in each for each in said)  # it goes back too
    image_alone = as_(bob).get(url(healthy, "deploy_back", 2)).context["consequences"]
    assert [each for each in image_alone if each.startswith("Restarts ")] == said[:1]


def test_back_to_the_image_of_the_runtime_is_a_deploy_and_only_from_another(healthy, bob, checker):  # noqa: F811
    with pytest.raises(RuntimesImage):
        asked(healthy, bob, "")
    settled(healthy, asked(healthy, bob))
    back = settled(healthy, asked(healthy, bob, ""))
    assert (back.status, healthy.image) == (DeployStatus.DEPLOYED, "")
    with pytest.raises(RuntimesImage):
        asked(healthy, bob, "")


def test_the_same_form_twice_is_one_deploy_and_the_same_digest_is_nothing_to_do(healthy, bob, checker):  # noqa: F811
    key = uuid4()
    made = asked(healthy, bob, key=key)
    assert asked(healthy, bob, key=key) == made
    settled(healthy, made)
    by_digest = f"{ONE}@{pinned(ONE).partition('@')[2]}"
    with pytest.raises(NothingToDeploy, match="image of deploy 1 already"):
        asked(healthy, bob, by_digest)
    again = settled(healthy, asked(healthy, bob))  # a tag may lead elsewhere by now
    assert again.status == DeployStatus.DEPLOYED
    assert "that runs already" in again.steps.get(key="image").sentence


def test_an_image_that_does_not_fit_changes_nothing_and_says_why(healthy, bob, checker, driver):  # noqa: F811
    settled(healthy, deployed(healthy, bob))
    checker.refuse[ONE] = "This image has Airflow 3.1.8, and runtime 3.3-1 is Airflow 3.3.2."
    deploy = settled(healthy, asked(healthy, bob))
    assert (deploy.status, deploy.sentence) == (DeployStatus.FAILED, checker.refuse[ONE])
    assert deploy.steps.get(key="image").state == StepState.FAILED
    assert (healthy.status, healthy.image, healthy.deploy_number) == (Status.HEALTHY, "", 1)
    assert settled(healthy, deployed(healthy, bob, {"two.py": DAG})).image == ""  # it is not wanted any more


def test_a_newer_deploy_takes_its_place_and_brings_what_it_was_to_bring(healthy, bob, checker):  # noqa: F811
    checker.slow = 1
    first = asked(healthy, bob)
    run(healthy)
    code = settled(healthy, deployed(healthy, bob))
    first.refresh_from_db()
    assert first.status == DeployStatus.SUPERSEDED
    assert (code.status, code.image_pinned, healthy.image) == (
        DeployStatus.DEPLOYED,
        pinned(ONE),
        pinned(ONE),
    )


def breaks(driver, deployment: Deployment) -> None:
    driver.break_component(
        Ref(str(deployment.pk), deployment.release_name), "scheduler", "The scheduler crashed."
    )


def test_an_image_with_which_components_do_not_come_up_is_given_up_and_the_one_before_runs_again(
    healthy,  # noqa: F811
    bob,
    checker,
    driver,
):
    settled(healthy, deployed(healthy, bob))
    breaks(driver, healthy)
    deploy = settled(healthy, asked(healthy, bob))
    assert deploy.status == DeployStatus.ACTIVATING
    assert "crashed" in deploy.steps.get(key="activated").sentence
    Deploy.objects.filter(pk=deploy.pk).update(rollout_until=timezone.now() - timedelta(seconds=1))
    settled(healthy, deploy)
    assert deploy.status == DeployStatus.FAILED
    assert "so deploy 1 runs again. The scheduler crashed." in deploy.sentence
    driver.fix_component(Ref(str(healthy.pk), healthy.release_name), "scheduler")
    run(healthy)
    assert (healthy.status, healthy.image, healthy.deploy_number) == (Status.HEALTHY, "", 1)
    assert timedelta(minutes=10) < ROLLOUT  # what a worker gets to finish


def test_the_way_back_is_open_while_components_do_not_come_up(healthy, bob, checker, driver):  # noqa: F811
    settled(healthy, deployed(healthy, bob))
    breaks(driver, healthy)
    bad = settled(healthy, asked(healthy, bob))
    back = asked(healthy, bob, "")
    run(healthy)
    run(healthy)
    driver.fix_component(Ref(str(healthy.pk), healthy.release_name), "scheduler")
    settled(healthy, back)
    bad.refresh_from_db()
    assert (bad.status, back.status) == (DeployStatus.SUPERSEDED, DeployStatus.DEPLOYED)
    assert (healthy.status, healthy.image) == (Status.HEALTHY, "")


def test_one_that_sleeps_has_it_when_it_wakes(healthy, bob, checker, driver):  # noqa: F811
    hibernation.hibernate(deployment=healthy, by=bob)
    run(healthy)
    deploy = settled(healthy, asked(healthy, bob))
    assert (healthy.status, deploy.status) == (Status.HIBERNATING, DeployStatus.DEPLOYED)
    hibernation.wake(deployment=healthy, by=bob)
    for _ in range(3):
        run(healthy)
    assert healthy.status == Status.HEALTHY
    assert driver.worlds[healthy.release_name].release.image == pinned(ONE)


def test_what_is_no_image_is_refused_before_anything_is_asked(healthy, bob, checker):  # noqa: F811
    for wrong in ("https://registry.example.com/x:1", "Team/airflow:1", "team/airflow", "a" * 600):
        with pytest.raises(InvalidInput) as caught:
            asked(healthy, bob, wrong)
        assert set(caught.value.problems) == {"image"}
    assert not Deploy.objects.exists()


def test_where_airflow_runs_without_images_that_is_said(healthy, bob, as_):  # noqa: F811
    with pytest.raises(NoImagesHere):
        asked(healthy, bob)
    with pytest.raises(NoImagesHere):
        images.set_registry_login(deployment=healthy, by=bob, host="a.example", user="u", password="p")
    assert url(healthy, "deploy_image") not in as_(bob).get(url(healthy)).content.decode()
    assert "without images" in text(as_(bob).get(url(healthy, "deploy_image")))


def test_a_runtime_is_not_upgraded_under_an_image_of_its_own(healthy, bob, checker):  # noqa: F811
    other = RuntimeRelease.objects.exclude(pk=healthy.runtime_id)[0]
    waiting = asked(healthy, bob)
    for _ in range(2):
        assert "image of its own" in upgrades.under_way(healthy)
        with pytest.raises(NotNow, match="Go back to the image of the runtime"):
            upgrade_runtime(deployment=healthy, by=bob, to=other)
        settled(healthy, waiting)
    Deployment.objects.filter(pk=healthy.pk).update(upgrade_from=healthy.runtime)
    with pytest.raises(NotNow, match="upgrade is under way"):
        asked(Deployment.objects.get(pk=healthy.pk), bob, TWO)


def test_the_login_of_the_registry_is_sealed_and_reaches_the_data_plane_alone(healthy, bob, as_, checker):  # noqa: F811
    client = as_(bob)
    wish = {"host": "registry.example.com", "user": "puller", "password": "canary-pull-token"}
    assert client.post(url(healthy, "registry_login"), wish).status_code == 303
    page = client.get(url(healthy, "deploy_image"))
    assert "The login is saved." in text(page)
    assert "pulled as puller" in text(page)
    assert text(page).index("Registry login") < text(page).index("Deploy this image")  # first what it needs
    assert "can pull public images alone" in words_in(page.content.decode(), "class", "menu menu--ask")
    assert "canary-pull-token" not in page.content.decode()
    row = healthy.secrets.get(name="registry_password")
    assert b"canary-pull-token" not in bytes(row.sealed)
    assert "canary" not in str(AuditEvent.objects.get(verb="set the registry login of").new)
    healthy.refresh_from_db()
    settled(healthy, asked(healthy, bob))
    assert '"password": "canary-pull-token"' in checker.logins[0]
    assert "canary" not in repr(vault.read(healthy))
    before = healthy.registry_mark
    client.post(url(healthy, "registry_login"), {**wish, "password": "another"})
    healthy.refresh_from_db()
    assert healthy.registry_mark != before
    assert client.post(url(healthy, "registry_login_remove")).status_code == 303
    assert not healthy.secrets.filter(name="registry_password").exists()
    assert "The login is removed." in text(client.get(url(healthy, "deploy_image")))
    wrong = client.post(url(healthy, "registry_login"), {"host": "no host!", "user": "a:b", "password": "x"})
    assert wrong.status_code == 422
    assert 'value="x"' not in wrong.content.decode()


def test_from_the_page_to_the_list_by_plain_forms(healthy, bob, as_, checker):  # noqa: F811
    client = as_(bob)
    page = client.get(url(healthy, "deploy_image"))
    assert "Restarts the API server, the scheduler" in text(page)
    assert "workers finish their tasks first" in text(page)
    key = str(uuid4())
    sent = client.post(
        url(healthy, "deploy_image"), {"image": ONE, "description": "GDAL", "idempotency_key": key}
    )
    assert sent["Location"] == url(healthy, "deploy", 1)
    settled(healthy, Deploy.objects.get())
    page = client.get(url(healthy, "deploy", 1))
    assert ONE in page.content.decode().replace("<wbr>", "")
    detail = text(page)
    assert "Airflow reads the DAGs in the image." in detail
    assert "In the image" in text(client.get(url(healthy)))
    html = client.get(url(healthy, "deploy_image")).content.decode()
    asks = words_in(html, "class", "menu menu--ask")
    assert "Go back to the image of the runtime" in asks
    assert "Restarts the API server, the scheduler" in asks
    assert complaints(html) == []
    settled(healthy, deployed(healthy, bob))
    settled(healthy, asked(healthy, bob, ""))
    back = client.get(url(healthy, "deploy_back", 1))
    assert "so the code that is deployed now stays" in text(back)
    bad = client.post(
        url(healthy, "deploy_image"), {"image": "no tag", "description": "", "idempotency_key": key}
    )
    assert bad.status_code == 422
