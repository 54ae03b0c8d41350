"""Importing variables: what would change is shown first, and an earlier revision is applied again."""

from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from console.tests.html_rules import complaints
from deployments.actions.variables import delete_variables, latest_revision
from deployments.domain.variables import Setting
from deployments.tests.pages.test_variables import CANARY, base_of, healthy, pasted, settings, text, url  # noqa: F401 - fixtures


def test_an_import_is_shown_before_it_is_applied(as_, bob, healthy):  # noqa: F811
    client = as_(bob)
    env = f"REGION=us-east-1\nTOKEN={CANARY}2\nFRESH={CANARY}3\nPATH=/bin\nno equals sign\nREGION2='x\n"
    address = pasted(client, healthy, env)
    page = client.get(address)
    message = text(page)
    assert "Added 1" in message
    assert "Changed 2" in message
    assert "Refused 3" in message
    assert "eu-central-1" in message
    assert "us-east-1" in message
    assert "Secret changed" in message
    assert "New secret" in message
    assert "Line 4 PATH PATH cannot be set here." in message
    assert "Line 5 This line has no “=”" in message
    assert "Apply 3 changes" in message
    assert "Restarts the API server" in message
    assert CANARY not in page.content.decode()
    assert complaints(page.content.decode()) == []
    assert settings(healthy).keys() == {"REGION", "TOKEN"}
    assert client.post(address, {"base": base_of(page)}).status_code == 303
    assert settings(healthy) == {
        "REGION": Setting("us-east-1", False),
        "TOKEN": Setting(f"{CANARY}2", True),
        "FRESH": Setting(f"{CANARY}3", True),
    }
    assert client.get(address).status_code == 410  # applied once


def test_new_variables_are_plain_when_asked_so(as_, bob, healthy):  # noqa: F811
    client = as_(bob)
    address = client.post(url(healthy, "variables_import"), {"text": "A=1\nTOKEN=x\n"})["Location"]
    client.post(address, {"base": base_of(client.get(address))})
    assert settings(healthy)["A"] == Setting("1", False)
    assert settings(healthy)["TOKEN"] == Setting("x", True)


def test_a_difference_that_moved_is_shown_again_and_not_applied(as_, alice, bob, healthy):  # noqa: F811
    client = as_(bob)
    address = pasted(client, healthy, "REGION=us\n")
    base = base_of(client.get(address))
    delete_variables(deployment=healthy, by=alice, keys=["REGION"], base=latest_revision(healthy))
    page = client.post(address, {"base": base})
    assert page.status_code == 409
    assert "changed after this page was shown" in text(page)
    assert "Added 1" in text(page)
    assert settings(healthy).keys() == {"TOKEN"}
    assert client.post(address, {"base": base_of(page)}).status_code == 303
    assert settings(healthy)["REGION"] == Setting("us", True)


def test_a_draft_is_its_authors_own_sealed_and_replaced_by_the_next(as_, alice, bob, healthy):  # noqa: F811
    first = pasted(as_(bob), healthy, f"A={CANARY}\n")
    assert as_(alice).get(first).status_code == 410
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM console_cache")
        import base64

        kept = [base64.b64decode(value) for (value,) in cursor]
    assert kept
    assert not any(CANARY.encode() in each for each in kept)
    second = pasted(as_(bob), healthy, "B=1\n")
    assert as_(bob).get(first).status_code == 410
    assert as_(bob).get(second).status_code == 200
    assert as_(bob).get(url(healthy, "variables_draft", uuid4())).status_code == 410


def test_a_draft_sealed_with_a_lost_key_has_expired(as_, bob, healthy, settings):  # noqa: F811
    from cryptography.fernet import Fernet

    address = pasted(as_(bob), healthy, "A=1\n")
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert as_(bob).get(address).status_code == 410


def test_a_file_is_read_although_a_blank_line_stands_in_the_text_area(as_, bob, healthy):  # noqa: F811
    file = SimpleUploadedFile(".env", b"A=1\n")
    answer = as_(bob).post(url(healthy, "variables_import"), {"text": "\r\n ", "file": file})
    assert "Apply 1 change" in text(as_(bob).get(answer["Location"]))


def test_a_file_may_come_from_windows(as_, bob, healthy):  # noqa: F811
    client = as_(bob)
    file = SimpleUploadedFile(".env", b"\xef\xbb\xbfA=1\r\nB=\xc3\xa9\r\n")
    answer = client.post(url(healthy, "variables_import"), {"text": "", "file": file})
    address = answer["Location"]
    client.post(address, {"base": base_of(client.get(address))})
    assert settings(healthy)["B"].value == "é"


@pytest.mark.parametrize(
    ("content", "pasted_text", "sentence"),
    [
        (b"A=\xff\xfe", "", "not UTF-8"),
        ("A=1".encode("utf-16"), "", "not UTF-8"),
        (b"x" * (1024 * 1024 + 1), "", "at most 1 MiB"),
        (b"A=1", "B=2", "not both"),
        (b"", "  \n ", "Paste the text"),
        (None, "", "Paste the text"),
        (None, "A=" + "é" * (512 * 1024), "at most 1 MiB"),
    ],
)
def test_what_cannot_be_imported_says_why(as_, bob, healthy, content, pasted_text, sentence):  # noqa: F811
    file = {} if content is None else {"file": SimpleUploadedFile(".env", content)}
    page = as_(bob).post(url(healthy, "variables_import"), {"text": pasted_text, **file})
    assert page.status_code == 422
    assert sentence in text(page)
    assert complaints(page.content.decode()) == []


def test_what_was_downloaded_and_is_imported_changes_nothing(as_, vera, bob, healthy):  # noqa: F811
    healthy.variables.create(key="ODD", value=' a "b" \n c\\n ')
    got = as_(vera).get(url(healthy, "variables_download"))
    assert got["Content-Disposition"] == f'attachment; filename="{healthy.release_name}.env"'
    body = got.content.decode()
    assert "# TOKEN is secret" in body
    assert CANARY not in body
    page = as_(bob).get(pasted(as_(bob), healthy, body))
    assert "Nothing would change." in text(page)
    assert "Unchanged: ODD , REGION" in text(page)
    assert "Apply" not in text(page).replace("Nothing", "")


def test_an_earlier_revision_is_applied_again_through_its_difference(as_, bob, healthy):  # noqa: F811
    client, address = as_(bob), url(healthy, "variables_revision", 1)
    page = client.get(address)
    assert "Removed 1" in text(page)
    assert CANARY not in page.content.decode()
    assert client.post(address, {"base": base_of(page)}).status_code == 303
    assert settings(healthy) == {"REGION": Setting("eu-central-1", False)}
    assert client.get(url(healthy, "variables_revision", 99)).status_code == 404
