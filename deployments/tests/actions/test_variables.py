"""Changing environment variables: revisions, generations, audit, and what reaches the data plane."""

import threading

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from deployments.actions import NotNow, delete_deployment
from deployments.actions import variables as actions
from deployments.actions.refusals import VariableRefused, VariablesChanged
from deployments.actions.variables import (
    apply_dotenv,
    delete_variables,
    latest_revision,
    reapply_revision,
    set_variable,
)
from deployments.domain.dotenv import parse
from deployments.domain.variables import Setting
from deployments.queries.releases import release_of
from deployments.reconciler.reconcile import reconcile
from deployments.secrets import vault
from deployments.secrets.rotation import rotate_all
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import AuditEvent

CANARY = "canary-5f1c"


@pytest.fixture
def healthy(deployment, driver):
    settle(deployment)
    deployment.refresh_from_db()
    return deployment


def release(deployment):
    deployment.refresh_from_db()
    return release_of(deployment, list(deployment.queues.select_related("worker_type")))


def add(deployment, by, key, value, *, secret=False):
    return set_variable(deployment=deployment, by=by, key=key, value=value, secret=secret, seen=None)


def change(deployment, by, key, value, *, secret=False):
    seen = deployment.variables.get(key=key).updated_at
    return set_variable(deployment=deployment, by=by, key=key, value=value, secret=secret, seen=seen)


def import_(deployment, by, text, *, secret=True, base=None):
    base = latest_revision(deployment) if base is None else base
    return apply_dotenv(deployment=deployment, by=by, entries=parse(text).entries, secret=secret, base=base)


def events(deployment):
    rows = AuditEvent.objects.filter(object_id=str(deployment.pk), verb="changed the variables of")
    return list(rows.order_by("pk"))


def test_a_plain_variable_is_in_the_release_and_restarts_once(
    healthy, bob, enqueued, django_capture_on_commit_callbacks
):
    before = healthy.generation
    with django_capture_on_commit_callbacks(execute=True):
        revision = add(healthy, bob, "REGION", "eu")
    assert release(healthy).environment == {"REGION": "eu"}
    assert healthy.generation == before + 1
    assert healthy.updated_by == bob
    assert (revision.number, revision.by, revision.changes["added"]) == (1, bob, ["REGION"])
    assert enqueued == [healthy.pk]
    assert events(healthy)[0].new == {"added": "REGION = eu", "revision": 1}


def test_a_secret_is_sealed_and_only_its_mark_is_in_the_release(healthy, bob):
    add(healthy, bob, "TOKEN", CANARY, secret=True)
    row = healthy.variables.get()
    assert (row.value, row.is_secret) == ("", True)
    assert CANARY.encode() not in bytes(row.sealed)
    assert release(healthy).environment == {}
    assert release(healthy).secret_marks == {"TOKEN": vault.secret_digest(healthy, "TOKEN", CANARY)}
    assert vault.read(healthy).variables == {"TOKEN": CANARY}
    assert events(healthy)[0].new["added"] == "TOKEN (secret)"


def test_changing_a_secret_alone_restarts_and_the_same_secret_does_not(healthy, bob):
    add(healthy, bob, "TOKEN", "one", secret=True)
    first = release(healthy).digest
    assert change(healthy, bob, "TOKEN", "two") is not None
    second = release(healthy)
    assert second.digest != first
    assert events(healthy)[-1].new["changed"] == "TOKEN (secret changed)"
    assert change(healthy, bob, "TOKEN", "two") is None
    assert release(healthy) == second
    assert latest_revision(healthy) == 2


def test_saving_the_same_thing_twice_is_once(healthy, bob):
    add(healthy, bob, "REGION", "eu")
    generation = release(healthy).generation
    assert change(healthy, bob, "REGION", "eu") is None
    assert import_(healthy, bob, "REGION=eu\n") is None
    assert release(healthy).generation == generation
    assert len(events(healthy)) == latest_revision(healthy) == 1


def test_removing_all_that_a_dotenv_added_returns_the_release_to_what_it_was(healthy, bob):
    add(healthy, bob, "REGION", "eu")
    before = release(healthy).digest
    import_(healthy, bob, "A=1\nB=2\nREGION=eu\n")
    assert release(healthy).digest != before
    delete_variables(deployment=healthy, by=bob, keys=["A", "B"], base=latest_revision(healthy))
    assert release(healthy).digest == before
    assert (
        delete_variables(deployment=healthy, by=bob, keys=["A", "B"], base=latest_revision(healthy)) is None
    )


def test_a_dotenv_merges_in_one_revision_and_one_generation(healthy, bob):
    add(healthy, bob, "KEPT", "k")
    add(healthy, bob, "TOKEN", "old", secret=True)
    generation = release(healthy).generation
    revision = import_(healthy, bob, f"FRESH={CANARY}\nTOKEN={CANARY}\nPATH=/bin\nKEPT=new\n")
    assert revision.changes == {"added": ["FRESH"], "changed": ["KEPT", "TOKEN"], "removed": []}
    assert release(healthy).generation == generation + 1
    assert vault.variables_of(healthy) == {
        "KEPT": Setting("new", False),
        "TOKEN": Setting(CANARY, True),
        "FRESH": Setting(CANARY, True),
    }
    reported = events(healthy)[-1].new
    assert reported["added"] == "FRESH (secret)"
    assert reported["changed"] == "KEPT = k → new, TOKEN (secret changed)"


def test_a_plain_variable_can_become_secret_and_never_the_other_way(healthy, bob):
    add(healthy, bob, "TOKEN", "t")
    change(healthy, bob, "TOKEN", None, secret=True)
    assert vault.variables_of(healthy) == {"TOKEN": Setting("t", True)}
    assert healthy.variables.get().value == ""
    assert change(healthy, bob, "TOKEN", None, secret=False) is None
    change(healthy, bob, "TOKEN", "u", secret=False)
    assert vault.variables_of(healthy) == {"TOKEN": Setting("u", True)}


@pytest.mark.parametrize("mask", ["••••", "••••••••", "********", "Secret, set 3 days ago by Bob"])
def test_a_mask_posted_back_is_refused(healthy, bob, mask):
    add(healthy, bob, "TOKEN", CANARY, secret=True)
    with pytest.raises(VariableRefused, match="shown in place of a secret"):
        change(healthy, bob, "TOKEN", mask)
    assert import_(healthy, bob, f"TOKEN={mask}\n") is None
    assert vault.variables_of(healthy)["TOKEN"].value == CANARY


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("1A", "x", "key"),
        ("AIRFLOW__CORE__EXECUTOR", "x", "key"),
        ("A", "x\x00", "value"),
        ("A", "x" * 32_769, "value"),
        ("A" * 256, "x", "key"),
    ],
)
def test_what_breaks_a_rule_is_refused_beside_its_field(healthy, bob, key, value, field):
    with pytest.raises(VariableRefused) as refused:
        add(healthy, bob, key, value)
    assert refused.value.field == field
    assert not healthy.variables.exists()


def test_an_existing_key_is_not_added_again(healthy, bob):
    add(healthy, bob, "A", "1")
    with pytest.raises(VariableRefused, match="exists already"):
        add(healthy, bob, "A", "2")
    with pytest.raises(VariableRefused, match="exists already"):
        add(healthy, bob, "A", "1", secret=True)
    assert add(healthy, bob, "A", "1") is None  # the same form sent twice


def test_whoever_saves_second_is_told(healthy, alice, bob):
    add(healthy, bob, "A", "1")
    seen = healthy.variables.get().updated_at
    change(healthy, alice, "A", "2")
    with pytest.raises(VariablesChanged):
        set_variable(deployment=healthy, by=bob, key="A", value="3", secret=False, seen=seen)
    delete_variables(deployment=healthy, by=alice, keys=["A"], base=latest_revision(healthy))
    with pytest.raises(VariablesChanged):
        set_variable(deployment=healthy, by=bob, key="A", value="3", secret=False, seen=seen)
    with pytest.raises(VariablesChanged):
        import_(healthy, bob, "A=3\n", base=1)
    assert vault.variables_of(healthy) == {}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient")
def test_of_two_imports_at_the_same_moment_one_wins_and_one_is_told(deployment, alice, bob, driver):
    settle(deployment)
    barrier, ended = threading.Barrier(2), []

    def go(by, text):
        try:
            barrier.wait(10)
            ended.append(import_(deployment, by, text, base=0).number)
        except VariablesChanged:
            ended.append("moved")
        finally:
            connection.close()

    threads = [
        threading.Thread(target=go, args=each) for each in ((alice, "A=1\nB=1\n"), (bob, "A=2\nC=2\n"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(ended, key=str) == [1, "moved"]
    values = {key: each.value for key, each in vault.variables_of(deployment).items()}
    assert values in ({"A": "1", "B": "1"}, {"A": "2", "C": "2"})


def test_values_and_revisions_survive_a_rotation_of_the_key(healthy, bob, settings):
    add(healthy, bob, "TOKEN", CANARY, secret=True)
    marked = release(healthy).secret_marks
    new = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, *settings.ENCRYPTION_KEYS]
    rotate_all()
    settings.ENCRYPTION_KEYS = [new]
    assert vault.read(healthy).variables == {"TOKEN": CANARY}
    assert vault.open_revision(healthy, healthy.variable_revisions.get()) == {"TOKEN": Setting(CANARY, True)}
    assert release(healthy).secret_marks == marked
    assert change(healthy, bob, "TOKEN", CANARY) is None  # nothing restarts for a new key


def test_all_together_are_bounded_and_nothing_is_half_done(healthy, bob):
    for number in range(31):
        healthy.variables.create(key=f"K{number}", value="v" * 32_768)
    with pytest.raises(VariableRefused, match="1,048,576"):
        add(healthy, bob, "LAST", "v" * 32_768)
    assert healthy.variables.count() == 31
    assert latest_revision(healthy) == 0


def test_a_revision_is_applied_again_as_a_new_one(healthy, bob):
    add(healthy, bob, "A", "1")
    add(healthy, bob, "TOKEN", "one", secret=True)
    desired = release(healthy).digest
    change(healthy, bob, "TOKEN", "two")
    import_(healthy, bob, "A=2\nB=3\n")
    revision = reapply_revision(deployment=healthy, by=bob, number=2, base=4)
    assert (revision.number, revision.changes) == (
        5,
        {"added": [], "changed": ["A", "TOKEN"], "removed": ["B"]},
    )
    assert release(healthy).digest == desired
    assert reapply_revision(deployment=healthy, by=bob, number=2, base=5) is None
    with pytest.raises(VariablesChanged):
        reapply_revision(deployment=healthy, by=bob, number=1, base=4)


def test_only_so_many_revisions_are_kept(healthy, bob, monkeypatch):
    monkeypatch.setattr(actions, "REVISIONS_KEPT", 3)
    for number in range(5):
        import_(healthy, bob, f"A={number}\n", secret=False)
    assert [each.number for each in healthy.variable_revisions.all()] == [5, 4, 3]


def test_a_sealed_revision_opens_at_its_own_place_only(healthy, bob):
    add(healthy, bob, "A", "1")
    add(healthy, bob, "A2", "1")
    first, second = healthy.variable_revisions.order_by("number")
    second.sealed = first.sealed
    with pytest.raises(vault.crypto.DecryptionError):
        vault.open_revision(healthy, second)


def test_nothing_is_changed_while_creating_or_deleting(deployment, bob, driver):
    with pytest.raises(NotNow, match="being created"):
        add(deployment, bob, "A", "1")
    settle(deployment)
    delete_deployment(deployment=deployment, by=bob)
    with pytest.raises(NotNow, match="being deleted"):
        import_(deployment, bob, "A=1\n")
    assert not deployment.variables.exists()


def test_nothing_secret_is_left_of_a_deleted_deployment(healthy, bob):
    add(healthy, bob, "TOKEN", CANARY, secret=True)
    delete_deployment(deployment=healthy, by=bob)
    while reconcile(healthy.pk):
        pass
    healthy.refresh_from_db()
    assert healthy.deleted_at is not None
    assert not healthy.variables.exists()
    assert not healthy.variable_revisions.exists()


def test_long_values_and_many_names_are_cut_in_the_audit(healthy, bob):
    import_(healthy, bob, "".join(f"K{n:02}={'x' * 200}\n" for n in range(30)), secret=False)
    reported = events(healthy)[0].new["added"]
    assert reported.endswith(", 10 more")
    assert "x" * 81 not in reported
