"""What actions on Workspaces and accounts refuse themselves, whoever asks."""

import pytest

from console.kit.refusals import InvalidInput
from workspaces.actions import workspaces
from workspaces.actions.workspaces import NO_ADDRESS, WRONG_THEME, WRONG_ZONE
from workspaces.models import AuditEvent, User, Workspace

pytestmark = pytest.mark.django_db

BAD_NAMES = [("", "Enter a name."), ("x" * 51, "at most 50 characters"), ("a\u202eb", "invisible characters")]


@pytest.mark.parametrize(("name", "sentence"), BAD_NAMES)
def test_a_workspace_gets_no_name_that_breaks_the_rule(workspace, alice, name, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        workspaces.create_workspace(by=alice, name=name)
    with pytest.raises(InvalidInput, match=sentence) as caught:
        workspaces.rename_workspace(workspace=workspace, by=alice, name=name)
    assert list(caught.value.problems) == ["name"]
    assert Workspace.objects.get(pk=workspace.pk).name == workspace.name
    assert not AuditEvent.objects.filter(verb="renamed").exists()


def test_a_name_is_stored_as_the_page_would_store_it(workspace, alice):
    assert (
        workspaces.rename_workspace(workspace=workspace, by=alice, name="  Data   team ").name == "Data team"
    )


def test_every_wrong_setting_of_an_account_is_said_at_once(alice):
    with pytest.raises(InvalidInput) as caught:
        workspaces.update_account(user=alice, name="root@example.org", theme="pink", time_zone="Mars/Base")
    assert caught.value.problems == {"name": NO_ADDRESS, "theme": WRONG_THEME, "time_zone": WRONG_ZONE}
    assert User.objects.get(pk=alice.pk).name == "Alice"


def test_the_first_workspace_of_a_person_whose_sign_is_cut_in_two_has_a_name(alice):
    alice.name = "x" * 29 + "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f" * 3
    assert workspaces.welcome(user=alice).name == "My Workspace"
