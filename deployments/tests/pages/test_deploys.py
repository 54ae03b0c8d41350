"""Pages of deploys: what they show, what they refuse, and the way through them without JavaScript."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from console.tests.html_rules import complaints, words_in
from deployments.actions import delete_deployment
from deployments.domain.deploy_states import DeployStatus
from deployments.domain.states import Status
from deployments.models import CodeUpload, Deploy
from deployments.tests.archives import DAG, tar_gz, zipped
from deployments.tests.reconciler.test_deploys import BAD, FILES, code, deployed, healthy, run  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


def url(deployment, name="deploys", *more):
    return reverse(f"deployments:{name}", args=[deployment.release_name, *more])


def text(response) -> str:
    """What a person reads."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def archive(files=FILES, name="code.tar.gz", pack=tar_gz) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, pack(files))


def test_from_an_empty_page_to_an_active_deploy_by_plain_forms(healthy, as_, bob, code):  # noqa: F811
    client = as_(bob)
    empty = client.get(url(healthy))
    assert "Nothing deployed yet" in text(empty)
    assert "Deploy an example DAG" in text(empty)
    assert url(healthy, "deploy_new") in empty.content.decode()
    sent = client.post(url(healthy, "deploy_new"), {"archive": archive()})
    assert sent.status_code == 303
    page = client.get(sent["Location"])
    assert "2 files added." in text(page)
    assert "Nothing restarts" in text(page)
    assert not Deploy.objects.exists()
    done = client.post(sent["Location"], {"description": "First", "seen": ""})
    assert done.status_code == 303
    assert done["Location"] == url(healthy, "deploy", 1)
    again = client.post(sent["Location"], {"description": "First", "seen": ""})
    assert again["Location"] == done["Location"]
    run(healthy)
    detail = text(client.get(done["Location"]))
    assert "Deployed Active" in detail
    assert "First" in detail
    assert "one.py" in detail
    assert "Every file imports." in detail
    listed = text(client.get(url(healthy)))
    assert "Deploy 1" in listed
    assert "Bob" in listed


def test_a_refused_archive_says_why_beside_the_field(healthy, as_, bob, code):  # noqa: F811
    client = as_(bob)
    for file, why in (
        (archive({"/etc/x": b"x"}), "The path /etc/x is absolute"),
        (SimpleUploadedFile("x.zip", b"hello"), "neither a .zip nor a .tar.gz"),
        (SimpleUploadedFile("x.zip", b""), "This file is empty"),
    ):
        answer = client.post(url(healthy, "deploy_new"), {"archive": file})
        assert answer.status_code == 422
        assert why in text(answer)
    assert "Choose a .zip" in text(client.post(url(healthy, "deploy_new"), {}))
    assert not CodeUpload.objects.exists()


def test_nothing_to_do_is_said_before_and_after(healthy, as_, bob, code):  # noqa: F811
    deployed(healthy, bob)
    run(healthy)
    client = as_(bob)
    sent = client.post(url(healthy, "deploy_new"), {"archive": archive(pack=zipped, name="c.zip")})
    page = client.get(sent["Location"])
    assert "Nothing differs." in text(page)
    assert '<button class="btn btn--primary">' not in page.content.decode().split("What would change")[1]
    answer = client.post(sent["Location"], {"description": "", "seen": Deploy.objects.get().digest})
    assert answer["Location"] == url(healthy, "deploy", 1)
    assert "nothing to do" in text(client.get(answer["Location"]))


def test_what_moved_meanwhile_is_shown_anew_and_keeps_what_was_typed(healthy, as_, alice, bob, code):  # noqa: F811
    client = as_(bob)
    sent = client.post(url(healthy, "deploy_new"), {"archive": archive()})
    deployed(healthy, alice, {"other.py": DAG})
    answer = client.post(sent["Location"], {"description": "Mine", "seen": ""})
    assert answer.status_code == 409
    assert "Another person deployed in the meantime" in text(answer)
    assert "removed" in text(answer)
    assert 'value="Mine"' in answer.content.decode()
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', answer.content.decode())[1]
    done = client.post(sent["Location"], {"description": "Mine", "seen": seen})
    assert done["Location"] == url(healthy, "deploy", 2)


def test_an_upload_is_its_authors_own_and_expires(healthy, as_, alice, bob, code):  # noqa: F811
    sent = as_(bob).post(url(healthy, "deploy_new"), {"archive": archive()})
    assert as_(alice).get(sent["Location"]).status_code == 410
    CodeUpload.objects.all().delete()
    answer = as_(bob).get(sent["Location"])
    assert answer.status_code == 410
    assert "Upload the archive again" in text(answer)


def test_what_does_not_compile_is_listed_and_can_be_deployed_all_the_same(healthy, as_, bob, code):  # noqa: F811
    failed = deployed(healthy, bob, BAD)
    run(healthy)
    client = as_(bob)
    page = client.get(url(healthy, "deploy", 1))
    assert "bad.py , line 1 SyntaxError" in text(page)
    assert "Deploy anyway" in text(page)
    answer = client.post(url(healthy, "deploy_anyway", 1))
    assert answer["Location"] == url(healthy, "deploy", 2)
    run(healthy)
    assert Deploy.objects.get(number=2).status == DeployStatus.DEPLOYED
    failed.refresh_from_db()
    assert failed.status == DeployStatus.FAILED


def test_going_back_says_what_it_does_not_bring_back_and_makes_a_new_deploy(healthy, as_, bob, code):  # noqa: F811
    for files in (FILES, {"two.py": DAG}):
        deployed(healthy, bob, files)
        run(healthy)
    client = as_(bob)
    assert url(healthy, "deploy_back", 1) in client.get(url(healthy, "deploy", 1)).content.decode()
    assert url(healthy, "deploy_back", 2) not in client.get(url(healthy, "deploy", 2)).content.decode()
    assert "This is what runs now, so there is nothing to roll back." in text(
        client.get(url(healthy, "deploy_back", 2))
    )
    page = client.get(url(healthy, "deploy_back", 1))
    assert "Only code and packages go back" in text(page)
    assert "2 files added, 1 removed." in text(page)
    key = re.search(r'name="idempotency_key" value="([0-9a-f-]+)"', page.content.decode())[1]
    for _ in range(2):
        done = client.post(
            url(healthy, "deploy_back", 1), {"idempotency_key": key, "description": "Too slow"}
        )
        assert done["Location"] == url(healthy, "deploy", 3)
    run(healthy)
    assert code.active() == Deploy.objects.get(number=3).version
    assert "Roll back to deploy 1" in text(client.get(url(healthy)))
    assert client.post(url(healthy, "deploy_back", 3), {}).status_code == 422


def test_files_that_do_not_import_are_on_the_overview_and_the_deploys_page(healthy, as_, vera, bob, code):  # noqa: F811
    code.problems = {"help.py": "ModuleNotFoundError: No module named 'x' <b>"}
    deployed(healthy, bob)
    run(healthy)
    client = as_(vera)
    overview = client.get(healthy.url)
    assert "1 of 2 Python files does not import." in text(overview)
    assert url(healthy, "deploy", 1) in overview.content.decode()
    detail = client.get(url(healthy, "deploy", 1))
    assert "No module named &#x27;x&#x27; &lt;b&gt;" in detail.content.decode()
    assert "does not import" in text(client.get(url(healthy)))
    code.problems = {}
    run(healthy)
    assert "not import" not in text(client.get(healthy.url))


def test_a_member_sees_everything_and_is_offered_nothing(healthy, as_, vera, bob, code):  # noqa: F811
    assert "Deploy an example DAG" not in text(as_(vera).get(url(healthy)))
    deployed(healthy, bob)
    run(healthy)
    deployed(healthy, bob, {"two.py": DAG})
    run(healthy)
    page = as_(vera).get(url(healthy, "deploy", 1))
    assert "Roll back" not in text(page)
    assert as_(vera).post(url(healthy, "deploy_new"), {"archive": archive()}).status_code == 403


def test_while_creating_and_on_kubernetes_the_page_says_so_in_one_sentence(deployment, as_, bob, driver):
    client = as_(bob)
    assert "being created" in text(client.get(url(deployment)))
    run(deployment)
    assert deployment.status == Status.HEALTHY
    driver.takes_code = False
    for name in ("deploys", "deploy_new"):
        page = text(client.get(url(deployment, name)))
        assert "On this cluster code comes with the image of the runtime" in page
        assert "Deploy an example DAG" not in page
    answer = client.post(url(deployment, "deploy_example"))
    assert answer.status_code == 303
    assert not Deploy.objects.exists()


def test_the_first_healthy_page_offers_the_example_until_there_is_code(healthy, as_, bob, vera, code):  # noqa: F811
    client = as_(bob)
    example = url(healthy, "deploy_example")
    assert example in client.get(healthy.url).content.decode()
    assert example not in as_(vera).get(healthy.url).content.decode()
    client.post(example)
    page = client.get(healthy.url)
    assert example not in page.content.decode()
    assert "Done: Add a DAG" in text(page)


def test_add_a_dag_leads_to_where_it_is_deployed_with_the_docs_beside_it(healthy, as_, bob, vera, code):  # noqa: F811
    for person, leads_to in ((bob, "deploy_new"), (vera, "deploys")):
        page = as_(person).get(healthy.url).content.decode()
        assert f'href="{url(healthy, leads_to)}">Add a DAG</a>' in page
        assert ">How to deploy</a>" in page
    assert "About deploying code" in text(as_(bob).get(url(healthy, "deploy_new")))


def test_the_example_is_one_click(healthy, as_, bob, code):  # noqa: F811
    client = as_(bob)
    for _ in range(2):
        client.post(url(healthy, "deploy_example"))
    assert Deploy.objects.get().source == "example"
    run(healthy)
    code.loose = {}
    assert client.post(url(healthy, "deploy_example"))["Location"] == url(healthy)


def test_notes_tell_of_what_an_archive_is_like(healthy, as_, bob, code):  # noqa: F811
    client = as_(bob)
    files = {"proj/one.py": DAG, "proj/.env": b"x"}
    sent = client.post(url(healthy, "deploy_new"), {"archive": archive(files)})
    page = text(client.get(sent["Location"]))
    assert "Everything is inside the folder proj" in page
    assert "1 file was left out" in page
    sent = client.post(url(healthy, "deploy_new"), {"archive": archive({"requirements.txt": b"pandas\n"})})
    page = text(client.get(sent["Location"]))
    assert "Airflow will find no DAG" in page


def test_the_number_of_queries_does_not_grow_with_the_rows(healthy, as_, bob, code):  # noqa: F811
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = as_(bob)
    deployed(healthy, bob)
    run(healthy)
    with CaptureQueriesContext(connection) as one:
        client.get(url(healthy))
    for number in range(5):
        deployed(healthy, bob, {f"{number}.py": DAG})
        run(healthy)
    with CaptureQueriesContext(connection) as six:
        client.get(url(healthy))
    assert len(six) == len(one)
    assert len(one) < 25


def test_every_page_keeps_the_rules_in_every_state(healthy, as_, bob, vera, code):  # noqa: F811
    code.problems = {"help.py": "ImportError: no"}
    deployed(healthy, bob, BAD)
    run(healthy)
    deployed(healthy, bob)
    run(healthy)
    deployed(healthy, bob, {"three.py": DAG})
    client = as_(bob)
    sent = client.post(url(healthy, "deploy_new"), {"archive": archive({"x/four.py": DAG})})["Location"]
    pages = [url(healthy), url(healthy, "deploy_new"), sent, url(healthy, "deploy_back", 2)]
    pages += [url(healthy, "deploy", number) for number in (1, 2, 3)]
    answers = [client.get(page) for page in pages]
    answers += [client.post(url(healthy, "deploy_new"), {}), client.post(sent, {"description": "x" * 501})]
    answers += [as_(vera).get(url(healthy)), as_(vera).get(healthy.url)]
    assert [wrong for answer in answers if (wrong := complaints(answer.content.decode()))] == []
    assert {answer.status_code for answer in answers} == {200, 422}


def test_rows_alone_come_as_a_fragment(healthy, as_, bob, code):  # noqa: F811
    deployed(healthy, bob)
    fragment = as_(bob).get(url(healthy), headers={"HX-Request": "true"})
    assert "Deploy 1" in fragment.content.decode()
    assert "<html" not in fragment.content.decode()
    assert "csrf" not in fragment.content.decode()


def test_an_open_page_without_deploys_hears_of_the_first_one(healthy, as_, bob, code):  # noqa: F811
    client = as_(bob)
    region = f"deploys-{healthy.pk}"
    assert "Nothing deployed yet" in words_in(client.get(url(healthy)).content.decode(), "id", region)
    part = {"HX-Request": "true", "HX-Target": region}
    assert client.get(url(healthy), headers=part).status_code == 204  # what is shown stays
    deployed(healthy, bob)
    assert "Deploy 1" in text(client.get(url(healthy), headers=part))


def test_what_may_be_done_about_a_deploy_is_in_the_part_of_its_page_that_moves(healthy, as_, bob, code):  # noqa: F811
    deployed(healthy, bob, BAD)
    client = as_(bob)
    assert "Deploy anyway" not in text(client.get(url(healthy, "deploy", 1)))
    run(healthy)
    moves = words_in(client.get(url(healthy, "deploy", 1)).content.decode(), "hx-trigger")
    assert "Failed" in moves
    assert "Deploy anyway" in moves
    for files in (FILES, {"two.py": DAG}):
        deployed(healthy, bob, files)
        run(healthy)
    assert "Roll back to this…" in words_in(
        client.get(url(healthy, "deploy", 2)).content.decode(), "hx-trigger"
    )
    assert "Active since" in words_in(client.get(url(healthy, "deploy", 3)).content.decode(), "hx-trigger")


def test_open_pages_hear_of_a_deploy(healthy, bob, code, published, django_capture_on_commit_callbacks):  # noqa: F811
    published.clear()
    with django_capture_on_commit_callbacks(execute=True):
        deployed(healthy, bob)
        run(healthy)
    events = {frame.event for _, frames in published for frame in frames}
    assert f"deploys-{healthy.pk}" in events


def test_the_pages_of_one_that_is_gone_are_gone(healthy, as_, bob, code):  # noqa: F811
    deployed(healthy, bob)
    run(healthy)
    delete_deployment(deployment=healthy, by=bob)
    run(healthy)
    assert healthy.deleted_at
    assert as_(bob).get(url(healthy)).status_code == 404
    assert as_(bob).get(url(healthy, "deploy", 1)).status_code == 404


def test_who_may_not_deploy_is_told_who_does(as_, vera, bob, deployment):
    page = as_(vera).get(deployment.url_for("deploys")).content.decode()
    assert "An Editor or Admin of the Workspace deploys the code." in page
    assert "you can only delete it" not in page
    assert (
        "Pack the content of your DAGs folder" in as_(bob).get(deployment.url_for("deploys")).content.decode()
    )
