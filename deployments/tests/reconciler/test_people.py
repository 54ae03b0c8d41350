"""Airflows hear who may come in, whoever changed that and however."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from deployments.actions.sign_in import make_airflow_token, sign_in
from deployments.dataplane import airflow_sign_in as rules
from deployments.models import AirflowSignOut, Deployment
from deployments.queries.people import AIRFLOW_ROLES
from deployments.reconciler import people
from deployments.reconciler.reconcile import reconcile
from deployments.secrets import vault
from deployments.tasks import sweep
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import Membership, Workspace
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def healthy(deployment, driver, bob, vera):
    return settle(deployment)


def told(driver, deployment) -> dict[str, str]:
    """Who may come in, as its Airflow was told last."""
    key = rules.public_key(vault.read(deployment).sign_in_key)
    wanted = rules.audience(rules.PEOPLE, deployment.release_name)
    claims = rules.signed(driver.worlds[deployment.release_name].people, key, wanted)
    return {who: role for who, (role, _) in claims["people"].items()}


def caught_up(driver, deployment) -> dict[str, str]:
    """What it is told once the sweep and a worker were there."""
    sweep()
    deployment.refresh_from_db()
    assert deployment.due_at <= timezone.now(), "the sweep did not notice"
    reconcile(deployment.pk)
    return told(driver, deployment)


def test_a_new_airflow_knows_its_people_before_anybody_may_open_it(healthy, driver, alice, bob, vera):
    assert told(driver, healthy) == {str(alice.pk): "ADMIN", str(bob.pk): "OP", str(vera.pk): "VIEWER"}


def remove(vera, workspace):
    Membership.objects.filter(user=vera).delete()


def demote(vera, workspace):
    Membership.objects.filter(user=vera).update(role=Role.ADMIN)


def block(vera, workspace):
    vera.is_active = False
    vera.save()


def suspend(vera, workspace):
    Workspace.objects.filter(pk=workspace.pk).update(suspended_at=Now())


@pytest.mark.parametrize(
    ("change", "role"), [(remove, None), (demote, "ADMIN"), (block, None), (suspend, None)]
)
def test_whatever_changes_who_may_is_written_at_the_next_sweep(
    healthy, driver, vera, workspace, change, role
):
    sweep()
    healthy.refresh_from_db()
    assert healthy.due_at > timezone.now()  # nothing to tell
    change(vera, workspace)
    assert caught_up(driver, healthy).get(str(vera.pk)) == role
    sweep()
    healthy.refresh_from_db()
    assert healthy.due_at > timezone.now()


def enters(driver, deployment, user) -> Callable[[], str]:
    """As what they are in Airflow who sign in now, as it asks itself at each later request."""
    text = sign_in(deployment=deployment, by=user, state="digest", to="/")
    key = rules.public_key(vault.read(deployment).sign_in_key)
    claims = rules.signed(text, key, rules.audience(rules.SIGN_IN, deployment.release_name))
    return lambda: as_what(driver, deployment, user, claims["role"], claims["iat"])


def as_what(driver, deployment, user, role: str, since: float) -> str:
    key = rules.public_key(vault.read(deployment).sign_in_key)
    with TemporaryDirectory() as folder:
        (Path(folder) / "people").write_text(driver.worlds[deployment.release_name].people)
        return rules.People(Path(folder) / "people", key, deployment.release_name).role(
            str(user.pk), role, since
        )


@pytest.mark.parametrize("between", [Role.ADMIN, Role.MEMBER])
def test_who_came_in_by_a_role_that_was_taken_back_before_the_sweep_has_the_present_one_after_it(
    healthy, driver, bob, between
):
    Deployment.objects.update(airflow_url="http://127.0.0.1:1")
    healthy.refresh_from_db()
    membership = Membership.objects.filter(user=bob)
    membership.update(role=between)
    now = enters(driver, healthy, bob)
    membership.update(role=Role.EDITOR)
    assert now() == AIRFLOW_ROLES[between]
    caught_up(driver, healthy)
    assert now() == AIRFLOW_ROLES[Role.EDITOR]


def test_a_token_for_scripts_follows_a_role_that_was_taken_back_too(healthy, driver, bob):
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    make_airflow_token(deployment=healthy, by=bob, minutes=60)
    Membership.objects.filter(user=bob).update(role=Role.EDITOR)
    caught_up(driver, healthy)


def test_a_list_that_is_being_written_while_somebody_comes_in_is_written_again(
    healthy, driver, bob, monkeypatch
):
    Deployment.objects.update(airflow_url="http://127.0.0.1:1", people_digest="older", due_at=Now())
    admit = driver.admit

    def raised_meanwhile(*args):
        Membership.objects.filter(user=bob).update(role=Role.ADMIN)
        sign_in(deployment=healthy, by=bob, state="digest", to="/")
        Membership.objects.filter(user=bob).update(role=Role.EDITOR)
        return admit(*args)

    monkeypatch.setattr(driver, "admit", raised_meanwhile)
    healthy.refresh_from_db()
    reconcile(healthy.pk)
    healthy.refresh_from_db()
    assert healthy.people_digest == ""


def test_who_comes_in_as_the_list_says_has_nothing_written(healthy, bob):
    Deployment.objects.update(airflow_url="http://127.0.0.1:1")
    healthy.refresh_from_db()
    sign_in(deployment=healthy, by=bob, state="digest", to="/")
    assert people.mark_changed() == 0


def test_a_sign_out_ends_sessions_from_before_it(healthy, driver, vera):
    AirflowSignOut.objects.create(user=vera)
    caught_up(driver, healthy)
    text = driver.worlds[healthy.release_name].people
    key = rules.public_key(vault.read(healthy).sign_in_key)
    claims = rules.signed(text, key, rules.audience(rules.PEOPLE, healthy.release_name))
    at = AirflowSignOut.objects.get(user=vera).at.timestamp()
    assert claims["people"][str(vera.pk)] == ["VIEWER", at]
    assert claims["iat"] >= at


def test_a_transfer_changes_the_people(healthy, driver, charlie, vera):
    theirs = Membership.objects.get(user=charlie).workspace
    Deployment.objects.update(workspace=theirs)
    assert caught_up(driver, healthy) == {str(charlie.pk): "ADMIN"}


def test_what_cannot_be_told_is_tried_again_at_its_own_pace(healthy, driver, vera):
    driver.fail["admit"] = "The disk is full."
    Membership.objects.filter(user=vera).delete()
    sweep()
    reconcile(healthy.pk)
    healthy.refresh_from_db()
    assert "The disk is full" in healthy.reason
    assert healthy.failures == 1
    due = healthy.due_at
    assert people.mark_changed() == 0  # the back-off stands
    healthy.refresh_from_db()
    assert healthy.due_at == due
    driver.fail.clear()
    Deployment.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    reconcile(healthy.pk)
    assert str(vera.pk) not in told(driver, healthy)


def test_a_wish_that_cannot_be_fulfilled_keeps_no_one_in(healthy, driver, vera):
    """Whoever may edit could ask for one, and stay in Airflow for as long as it fails."""
    driver.fail["components"] = "The quota of the namespace is used up."
    Deployment.objects.update(generation=F("generation") + 1, scheduler_au=7, due_at=Now())
    reconcile(healthy.pk)
    healthy.refresh_from_db()
    assert "The quota" in healthy.reason
    Membership.objects.filter(user=vera).delete()
    Deployment.objects.update(due_at=Now())
    reconcile(healthy.pk)
    assert str(vera.pk) not in told(driver, healthy)


def test_it_is_told_again_now_and_then_since_files_get_lost(healthy, driver):
    driver.worlds[healthy.release_name].people = ""
    Deployment.objects.update(people_written_at=timezone.now() - timedelta(minutes=11), due_at=Now())
    reconcile(healthy.pk)
    assert told(driver, healthy)


def test_one_that_sleeps_or_knows_no_sign_in_is_left_alone(healthy, driver, vera):
    Membership.objects.filter(user=vera).delete()
    for change in ({"hibernating": True}, {"hibernating": False, "signs_in": False}):
        Deployment.objects.update(**change)
        assert people.mark_changed() == 0


def test_looking_costs_the_same_for_any_number(healthy, django_assert_num_queries):
    with django_assert_num_queries(2):
        people.mark_changed()
