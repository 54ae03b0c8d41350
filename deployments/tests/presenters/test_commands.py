"""The same as a command: the line that a page shows does what its form does."""

import shlex

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from deployments.presenters import commands
from deployments.tests.reconciler.test_deploys import healthy  # noqa: F401 - a fixture

FIELDS = st.dictionaries(st.sampled_from([*commands.FLAGS, "name"]), st.text(max_size=30))


@given(FIELDS, FIELDS)
def test_whatever_was_typed_the_line_is_one_line_of_words(values, now):
    for line in (commands.create_line(values, now), commands.update_line("calm-orbit-0012", values, now)):
        assert "\n" not in line
        words = shlex.split(line)
        assert words[:2] == ["airdeck", "deployment"]
        flags = {*commands.FLAGS.values(), "-n", "--name"}
        assert set(words[3::2] if words[2] == "create" else words[4::2]) <= flags


def test_only_what_differs_is_said():
    now = {"name": "A", "executor": "celery", "scheduler_au": 5, "min_workers": 1, "description": "x"}
    assert commands.update_line("calm-orbit-0012", {**now, "scheduler_au": "5"}, now) == (
        "airdeck deployment update calm-orbit-0012"
    )
    changed = {**now, "scheduler_au": "6", "description": "", "name": "It's"}
    assert shlex.split(commands.update_line("calm-orbit-0012", changed, now))[4:] == [
        *("--name", "It's", "-d", "", "-s", "6"),
    ]
    assert commands.create_line({"name": "", "executor": "local", "min_workers": "7"}, now) == (
        "airdeck deployment create -n NAME -e local"
    )


@pytest.mark.django_db
def test_create_shows_it_and_it_follows_what_is_typed(as_, alice, workspace, cluster):
    client = as_(alice)
    page = client.get(reverse("deployments:new", args=[workspace.pk])).content.decode()
    assert "The same as a command" in page
    assert 'data-copy="airdeck deployment create -n NAME"' in page
    typed = {"name": "My team's", "executor": "local", "scheduler_au": "7", "cluster": str(cluster.pk)}
    region = client.post(reverse("deployments:summary", args=[workspace.pk]), typed).content.decode()
    assert 'id="as-command" hx-swap-oob="innerHTML"' in region
    assert (
        "airdeck deployment create -n &#x27;My team&#x27;&quot;&#x27;&quot;&#x27;s&#x27; -e local -s 7"
        in region
    )


@pytest.mark.django_db
def test_edit_import_and_deploy_show_it(as_, alice, healthy):  # noqa: F811
    client, name = as_(alice), healthy.release_name
    for page, line in (
        ("edit", f"airdeck deployment update {name}"),
        ("variables_import", f"airdeck deployment variable set --load --env .env -d {name}"),
        ("deploy_new", f"airdeck deploy -d {name} --wait"),
        ("git_edit", f"airdeck git connect ADDRESS -d {name}"),
    ):
        assert (
            f'data-copy="{line}"' in client.get(reverse(f"deployments:{page}", args=[name])).content.decode()
        )
    typed = {"name": healthy.name, "executor": "celery", "scheduler_au": "9", "concurrency": "16"}
    region = client.post(reverse("deployments:edit_summary", args=[name]), typed).content.decode()
    assert f"airdeck deployment update {name} -s 9" in region
