"""Git sources and what happens at the same time: changes, pushes, deaths, many looks."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from console.kit import failpoints
from deployments.actions import create_deployment, delete_deployment
from deployments.actions import git_sources as actions
from deployments.actions.refusals import GitChanged
from deployments.models import Deploy, Deployment, DeploymentSecret, GitSource
from deployments.outgoing.git import ask
from deployments.reconciler import git_sources as looking
from deployments.tests.git import fixtures as served_repositories
from deployments.tests.reconciler.test_deploys import code, healthy, run  # noqa: F401 - fixtures
from deployments.tests.reconciler.test_git_sources import apart, followed, look, wish  # noqa: F401 - fixtures
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db

loopback, repository = served_repositories.loopback, served_repositories.repository
https = served_repositories.https


def test_a_change_that_somebody_else_did_not_see_is_refused_and_the_same_again_is_nothing(followed, bob):  # noqa: F811
    source = GitSource.objects.get()
    same = wish(source.address)
    actions.change(deployment=followed, by=bob, wish=same, seen=source.revision)
    assert not AuditEvent.objects.filter(verb="changed the Git source of").exists()
    actions.change(deployment=followed, by=bob, wish=wish(source.address, branch="b"), seen=source.revision)
    with pytest.raises(GitChanged):
        actions.change(deployment=followed, by=bob, wish=same, seen=source.revision)
    event = AuditEvent.objects.get(verb="changed the Git source of")
    assert (event.old, event.new) == ({"branch": "main"}, {"branch": "b"})


def test_what_was_read_for_another_wish_is_not_deployed(followed, bob, monkeypatch):  # noqa: F811
    real = ask.read

    def meanwhile(wished):
        answer = real(wished)
        source = GitSource.objects.get()
        actions.change(
            deployment=followed, by=bob, wish=wish(source.address, branch="b"), seen=source.revision
        )
        return answer

    monkeypatch.setattr(ask, "read", meanwhile)
    source = look(followed)
    assert not Deploy.objects.exists()
    assert (source.head, source.lease_until) == ("", None)
    assert source.due_at <= timezone.now()


def test_a_push_during_a_look_is_not_slept_over(followed, monkeypatch):  # noqa: F811
    real = ask.read

    def meanwhile(wished):
        answer = real(wished)
        actions.notice_push(source=GitSource.objects.get())
        return answer

    monkeypatch.setattr(ask, "read", meanwhile)
    source = look(followed)
    assert source.due_at - timezone.now() <= timedelta(seconds=10)


@pytest.mark.parametrize("point", ["git.after_receive", "git.after_deploy"])
def test_a_worker_that_dies_makes_one_deploy_all_the_same(followed, point, monkeypatch):  # noqa: F811
    def die(name):
        if name == point:
            raise SystemExit

    monkeypatch.setattr(looking, "failpoint", die)
    with pytest.raises(SystemExit):
        look(followed)
    assert not looking.check(followed.pk)  # its lease still runs
    GitSource.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    monkeypatch.setattr(looking, "failpoint", failpoints.failpoint)
    source = look(followed)
    assert Deploy.objects.count() == 1
    assert source.handled == source.head


def test_one_look_at_a_time_and_few_over_all(followed, settings, workspace, alice, choices):  # noqa: F811
    GitSource.objects.update(lease_until=timezone.now() + timedelta(minutes=1))
    assert not looking.check(followed.pk)
    settings.GIT_CHECKS_AT_ONCE = 1
    other = create_deployment(
        workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices("Other")
    )
    Deployment.objects.filter(pk=other.pk).update(first_healthy_at=timezone.now())
    other.refresh_from_db()
    actions.connect(deployment=other, by=alice, wish=wish("https://127.0.0.1:1/a"))
    assert looking.due_keys() == [other.pk]
    assert not looking.check(other.pk)
    settings.GIT_CHECKS_AT_ONCE = 2
    assert looking.check(other.pk)


def test_nobody_looks_for_what_is_suspended_being_deleted_or_gone(followed, alice, workspace):  # noqa: F811
    assert looking.due_keys() == [followed.pk]
    workspace.suspended_at = timezone.now()
    workspace.save()
    assert looking.due_keys() == []
    workspace.suspended_at = None
    workspace.save()
    delete_deployment(deployment=followed, by=alice)
    assert looking.due_keys() == []
    assert run(followed).deleted_at
    assert not GitSource.objects.exists()
    assert not DeploymentSecret.objects.exists()
