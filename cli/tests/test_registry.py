"""A registry login from a terminal: the password comes in by every way but an argument."""

import pytest

from deployments.secrets import vault
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]

HOST, PASSWORD = "registry.example.com", "hush-hush-4711"


def test_a_login_is_kept_shown_and_removed(airdeck, deployment, driver, tmp_path):
    settle(deployment)
    login = ("deployment", "registry", "login", HOST, "-d", "Analytics", "-u", "ci")

    def kept() -> str:
        return vault.one(deployment, vault.REGISTRY_PASSWORD)

    assert "without images" in airdeck(*login, "--password-stdin", text=PASSWORD, code=4).err
    driver.takes_images = True
    assert "AIRDECK_REGISTRY_PASSWORD" in airdeck(*login, code=2).err
    done = airdeck(*login, "--password-stdin", text=f"{PASSWORD}\n")
    assert done.out.startswith(f"Images of Analytics at {HOST} are pulled as ci.\n")
    assert kept() == PASSWORD
    (tmp_path / "password").write_text(f"{PASSWORD}-2\n")
    airdeck(*login, "--password-file", "password")
    assert kept() == f"{PASSWORD}-2"
    airdeck(*login, environment={"AIRDECK_REGISTRY_PASSWORD": f"{PASSWORD}-3"})
    assert kept() == f"{PASSWORD}-3"
    assert (
        "host: "
        in airdeck(
            *("deployment", "registry", "login", "no host!", "-d", "Analytics", "-u", "ci"),
            "--password-stdin",
            text=PASSWORD,
            code=2,
        ).err
    )

    shown = airdeck("deployment", "registry", "show", "Analytics", "-o", "json")
    assert shown.json == {"host": HOST, "user": "ci"}
    assert "hush" not in done.out + done.err + shown.out
    assert "Remove it with --yes." in airdeck("deployment", "registry", "logout", "Analytics", code=2).err
    airdeck("deployment", "registry", "logout", "Analytics", "--yes")
    assert "has no registry login" in airdeck("deployment", "registry", "show", "Analytics").out
