"""The Git page: what each role sees, the form, the host key, and what is never sent back."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from console.tests.html_rules import complaints
from deployments.actions import git_sources as actions
from deployments.actions.git_sources import GitSourceWish
from deployments.actions.refusals import NothingToDeploy
from deployments.domain.deploy_states import DeploySource
from deployments.models import Deploy, GitSource
from deployments.outgoing.git import keys
from deployments.secrets import vault
from deployments.tests.reconciler.test_deploys import code, deployed, healthy  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db

FORM = {
    "address": "https://github.com/acme/dags.git",
    "branch": "main",
    "subfolder": "dags",
    "token": "",
    "token_user": "git",
    "every_minutes": "5",
    "automatic": "on",
    "seen": "",
}


def url(deployment, name="git") -> str:
    return reverse(f"deployments:{name}", args=[deployment.release_name])


def text(response) -> str:
    """What a person reads."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


@pytest.fixture
def followed(healthy, bob):  # noqa: F811
    return connect(healthy, bob)


def connect(deployment, by, address="https://github.com/acme/dags.git", **more):
    actions.connect(deployment=deployment, by=by, wish=GitSourceWish(address=address, **more))
    GitSource.objects.update(due_at=None)
    return deployment


def test_from_the_deploys_page_to_a_connected_repository(healthy, as_, bob, vera):  # noqa: F811
    client = as_(bob)
    assert url(healthy) in client.get(url(healthy, "deploys")).content.decode()
    assert "No repository connected" in text(client.get(url(healthy)))
    answer = client.post(url(healthy, "git_edit"), {**FORM, "token": "canary"})
    assert answer["Location"] == url(healthy)
    page = client.get(url(healthy))
    assert "The repository is connected." in text(page)
    assert "Every 5 minutes" in text(page)
    assert "Looking" in text(page)
    assert "Git: main" in text(client.get(url(healthy, "deploys")))
    assert vault.open_git(healthy)[vault.GIT_TOKEN] == "canary"
    for name in ("git", "git_edit", "git_live"):
        assert "canary" not in client.get(url(healthy, name)).content.decode()
    seen = as_(vera).get(url(healthy))
    assert "github.com/acme/dags.git" in text(seen)
    assert "<form" not in seen.content.decode().split('id="git-live"')[1].split("</main>")[0]


def test_a_form_says_every_rule_beside_its_field_and_keeps_no_token(healthy, as_, bob):  # noqa: F811
    answer = as_(bob).post(
        url(healthy, "git_edit"),
        {**FORM, "address": "http://x/y", "branch": "a b", "every_minutes": "2000", "token": "canary"},
    )
    assert answer.status_code == 422
    page = text(answer)
    assert "Enter 1 to 1,440 minutes, or nothing for never." in page
    answer = as_(bob).post(
        url(healthy, "git_edit"), {**FORM, "address": "http://x/y", "branch": "a b", "token": "canary"}
    )
    page = text(answer)
    assert "http:// is not encrypted" in page
    assert "No branch can have this name" in page
    assert "Enter the token again" in page
    assert "canary" not in answer.content.decode()
    answer = as_(bob).post(url(healthy, "git_edit"), {**FORM, "address": "https://192.168.0.1/a"})
    assert "is not a public address" in text(answer)
    assert not GitSource.objects.exists()


def test_changing_keeps_the_token_unless_it_is_replaced_or_removed(healthy, as_, bob):  # noqa: F811
    connect(healthy, bob, token="first")
    client = as_(bob)
    page = client.get(url(healthy, "git_edit")).content.decode()
    assert "Remove the token that is stored" in page
    seen = re.search(r'name="seen" value="(\d+)"', page)[1]
    assert (
        client.post(url(healthy, "git_edit"), {**FORM, "seen": seen, "every_minutes": ""}).status_code == 303
    )
    assert GitSource.objects.get().every_minutes is None
    assert vault.open_git(healthy)[vault.GIT_TOKEN] == "first"
    now = GitSource.objects.get().revision
    client.post(url(healthy, "git_edit"), {**FORM, "seen": now, "remove_token": "on"})
    assert vault.open_git(healthy)[vault.GIT_TOKEN] == ""


def test_what_was_typed_is_kept_when_another_person_saved_first(followed, as_, alice, bob):
    client = as_(bob)
    seen = re.search(r'name="seen" value="(\d+)"', client.get(url(followed, "git_edit")).content.decode())[1]
    wish = GitSourceWish(address=FORM["address"], branch="theirs")
    actions.change(deployment=followed, by=alice, wish=wish, seen=int(seen))
    mine = {**FORM, "branch": "mine", "subfolder": "my-dags", "token": "canary"}
    stale = client.post(url(followed, "git_edit"), {**mine, "seen": seen})
    html = stale.content.decode()
    assert stale.status_code == 409
    assert "Alice changed this while you were editing" in text(stale)
    assert "Branch theirs" in text(stale)
    assert 'value="mine"' in html
    assert 'value="my-dags"' in html
    assert "Enter the token again" in html
    assert "canary" not in html
    assert complaints(html) == []
    again = re.search(r'name="seen" value="(\d+)"', html)[1]
    assert client.post(url(followed, "git_edit"), {**FORM, "branch": "mine", "seen": again})["Location"]
    assert GitSource.objects.get().branch == "mine"


def test_the_public_key_and_the_host_key_are_shown_and_confirmed(healthy, as_, bob, vera):  # noqa: F811
    connect(healthy, bob, "git@github.com:acme/dags.git")
    line = " ".join(keys.make("")[1].split()[:2])
    GitSource.objects.update(offered_host_key=line)
    client = as_(bob)
    page = client.get(url(healthy))
    assert GitSource.objects.get().public_key in page.content.decode()
    assert "PRIVATE KEY" not in page.content.decode()
    assert keys.fingerprint(line) in page.content.decode()
    assert "Is this the right server?" in text(page)
    assert "Confirm this key" not in text(as_(vera).get(url(healthy)))
    wrong = client.post(url(healthy, "git_host_key"), {"fingerprint": "SHA256:x"})
    assert "changed in the meantime" in text(client.get(wrong["Location"]))
    client.post(url(healthy, "git_host_key"), {"fingerprint": keys.fingerprint(line)})
    assert GitSource.objects.get().host_key == line
    GitSource.objects.update(offered_host_key=" ".join(keys.make("")[1].split()[:2]), problem="It changed.")
    page = text(client.get(url(healthy, "git_live")))
    assert "The host key changed" in page
    assert "Confirmed before" in page


def test_a_newer_commit_is_offered_and_a_click_asks_for_it(
    followed, as_, bob, enqueued_git, django_capture_on_commit_callbacks
):
    GitSource.objects.update(head="ab" * 20, automatic=False, checked_at=timezone.now())
    client = as_(bob)
    page = client.get(url(followed))
    assert "A newer commit is there" in text(page)
    assert f"https://github.com/acme/dags/commit/{'ab' * 20}" in page.content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(url(followed, "git_deploy")).status_code == 303
    assert enqueued_git[-1] == followed.pk
    assert "Bob asked for the newest commit to be deployed." in text(client.get(url(followed)))
    client.post(url(followed, "git_check"))
    assert GitSource.objects.get().due_at <= timezone.now()


def test_a_problem_is_said_with_when_it_is_tried_again(followed, as_, vera):
    GitSource.objects.update(
        problem="The host is away.", failures=3, due_at=timezone.now() + timedelta(minutes=4)
    )
    page = text(as_(vera).get(url(followed)))
    assert "Cannot be read" in page
    assert "The host is away." in page
    assert "Airdeck looks again" in page


def test_a_branch_of_which_no_commit_was_seen_is_not_up_to_date(followed, as_, vera):
    GitSource.objects.update(head="", handled="", problem="", due_at=None)
    page = text(as_(vera).get(url(followed)))
    assert "Not looked at yet" in page
    assert "Up to date" not in page


def test_a_commit_whose_code_runs_already_is_up_to_date_and_one_that_cannot_be_deployed_is_not(
    followed, as_, vera
):
    sha = "ef" * 20
    notes = ((str(NothingToDeploy(1)), True, "Up to date"), ("lib is a submodule.", False, "Not deployed"))
    for note, same_code, word in notes:
        GitSource.objects.update(head=sha, handled=sha, handled_note=note, same_code=same_code)
        page = text(as_(vera).get(url(followed)))
        assert word in page
        assert note in page


def test_disconnecting_says_what_stays(followed, as_, bob):
    client = as_(bob)
    assert "What was deployed stays" in text(client.get(url(followed, "git_disconnect")))
    client.post(url(followed, "git_disconnect"))
    assert not GitSource.objects.exists()
    assert "is disconnected" in text(client.get(url(followed)))
    assert client.get(url(followed, "git_live"))["HX-Refresh"] == "true"


def test_deploys_show_their_commit(healthy, as_, vera, bob, code):  # noqa: F811
    deployed(healthy, bob)
    facts = {
        "sha": "cd" * 20,
        "branch": "main",
        "author": "Ada <ada@example.org>",
        "subject": "Fix <b>",
        "remote": "https://github.com/acme/dags.git",
        "link": "https://github.com/acme/dags/commit/" + "cd" * 20,
        "notes": ["Two packages."],
    }
    Deploy.objects.update(git=facts, source=DeploySource.GIT)
    listed = as_(vera).get(url(healthy, "deploys"))
    assert f'<a href="{facts["link"]}"><code>cdcdcdcd</code></a>' in listed.content.decode()
    assert "of main by Ada &lt;ada@example.org&gt;" in text(listed)
    detail = as_(vera).get(reverse("deployments:deploy", args=[healthy.release_name, 1]))
    assert "Fix &lt;b&gt;" in detail.content.decode()
    assert "Two packages." in text(detail)


@pytest.mark.parametrize("name", ["git", "git_edit", "git_disconnect"])
def test_pages_keep_the_rules_of_pages(followed, as_, bob, name):
    GitSource.objects.update(problem="Away.", handled="ef" * 20, head="ef" * 20, handled_note="A submodule.")
    assert complaints(as_(bob).get(url(followed, name)).content.decode()) == []
