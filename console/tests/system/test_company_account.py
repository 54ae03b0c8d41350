"""The company account, on a real installation and against a real provider on loopback."""

import re
from collections.abc import Iterator

import httpx
import pytest

from console.tests.oidc_provider import CLIENT, SECRET, Provider
from console.tests.system.installation import PASSWORD, Installation

pytestmark = pytest.mark.timeout(300)
OWNER = "owner@example.org"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture(scope="module")
def it(provider) -> Iterator[Installation]:
    made = Installation()
    try:
        made.start(
            environment={
                "OIDC_URL": provider.url,
                "OIDC_NAME": "Example SSO",
                "OIDC_CLIENT_ID": CLIENT,
                "OIDC_CLIENT_SECRET": SECRET,
                "OIDC_ADMIN_GROUP": "airdeck-admins",
            }
        )
        made.sign_up(OWNER)
        yield made
    finally:
        made.close()


def comes(it: Installation, provider: Provider, **claims: object) -> tuple[httpx.Client, httpx.Response]:
    """A browser of its own, and what it shows after the sign-in."""
    provider.claims = {"sub": str(claims.get("email")), "email_verified": True, "name": "", **claims}
    client = httpx.Client(base_url=it.url, timeout=30, follow_redirects=True)
    return client, client.get("/accounts/oidc/company/login/")


def administrators(it: Installation) -> set[str]:
    with it.database() as database:
        return {row[0] for row in database.execute("SELECT email FROM workspaces_user WHERE is_staff")}


def test_the_company_account_signs_in_joins_by_verified_address_and_says_what_is_wrong(it, provider):
    assert "Example SSO" in httpx.get(f"{it.url}/accounts/login/").text
    new, page = comes(it, provider, email="Nora@Example.org", name="Nora")
    assert (page.status_code, "Nora&#x27;s Workspace" in page.text or "Nora's Workspace" in page.text) == (
        200,
        True,
    )
    _, again = comes(it, provider, email="nora@example.org", name="Nora")
    assert again.status_code == 200
    with it.database() as database:
        emails = [row[0] for row in database.execute("SELECT email FROM workspaces_user ORDER BY id")]
    assert emails == [OWNER, "nora@example.org"]

    _nobody_without_a_verified_address(it, provider)
    _an_account_that_is_there_is_joined_and_its_unproved_password_ends(it, provider)
    _the_group_decides_who_administers_the_site(it, provider)
    _a_provider_in_trouble_costs_a_sentence(it, provider)
    new.close()


def _nobody_without_a_verified_address(it, provider) -> None:
    for claims in ({"email": OWNER, "email_verified": False}, {"email": None}, {"email": "", "sub": "x"}):
        client, page = comes(it, provider, **claims)
        assert page.status_code == 403, claims
        assert "names no verified email address of yours" in page.text
        assert client.get("/account/").url.path == "/accounts/login/"


def _an_account_that_is_there_is_joined_and_its_unproved_password_ends(it, provider) -> None:
    """Whoever made it may have used an address that is not theirs."""
    client, page = comes(it, provider, email=OWNER)
    assert page.status_code == 200
    assert OWNER in client.get("/account/").text
    other = httpx.Client(base_url=it.url, timeout=30)
    form = other.get("/accounts/login/").text
    token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)[0]
    fields = {"login": OWNER, "password": PASSWORD, "csrfmiddlewaretoken": token}
    assert other.post("/accounts/login/", data=fields, headers={"Origin": it.url}).status_code != 302


def _the_group_decides_who_administers_the_site(it, provider) -> None:
    comes(it, provider, email="nora@example.org", groups=["airdeck-admins", "others"])
    assert "nora@example.org" in administrators(it)
    comes(it, provider, email="nora@example.org", groups=["others"])
    assert "nora@example.org" not in administrators(it)


def _a_provider_in_trouble_costs_a_sentence(it, provider) -> None:
    for path in ("/.well-known/openid-configuration", "/token", "/userinfo"):
        provider.fail = {path: 500}
        _, page = comes(it, provider, email="nora@example.org")
        assert page.status_code in {403, 503}, (path, page.text)
        assert "Example SSO" in page.text
    provider.fail = {}
    provider.slow = {"/.well-known/openid-configuration": 7}
    _, page = comes(it, provider, email="nora@example.org")
    assert page.status_code == 503
    assert (
        "does not answer. Try again in a minute. You can sign in with your password until it does."
        in page.text
    )
    provider.slow = {}
    provider.rotate()
    _, page = comes(it, provider, email="nora@example.org")
    assert page.status_code == 200
