"""The console as an OpenID provider of other tools: a whole sign-in, and what a tool does not get."""

import base64
import hashlib
import re
from html import escape, unescape
from io import StringIO
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from allauth.idp.oidc.models import Token
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from conftest import PASSWORD
from console.environment import rsa_key
from console.kit.refusals import InvalidInput
from console.tests.html_rules import complaints
from workspaces import tasks
from workspaces.actions import tools
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db
BACK = "https://wiki.example.org/callback"


def pem(bits: int) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


@pytest.fixture(scope="module")
def key() -> str:
    return pem(2048)


@pytest.fixture
def provider(settings, key):
    settings.IDP_OIDC_PRIVATE_KEY = key
    settings.BASE_URL = "http://testserver"


@pytest.fixture
def wiki(provider):
    return tools.add(name="Wiki", redirect_uris=[BACK])


class Tool:
    """The tool's side."""

    def __init__(self, added: tools.Added) -> None:
        self.id, self.secret = added.client.pk, added.secret
        self.web = Client()
        self.about = self.web.get("/.well-known/openid-configuration").json()

    def way_in(self, **more) -> str:
        asked = {
            "client_id": self.id,
            "redirect_uri": BACK,
            "response_type": "code",
            "state": "s",
            "nonce": "n",
        }
        return f"/identity/o/authorize?{urlencode({**asked, 'scope': 'openid profile email', **more})}"

    def exchange(self, code: str, secret=None):
        basic = base64.b64encode(f"{self.id}:{secret or self.secret}".encode()).decode()
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
        kind = "application/x-www-form-urlencoded"
        headers = {"Authorization": f"Basic {basic}"}
        path = urlsplit(self.about["token_endpoint"]).path
        return self.web.post(path, urlencode(fields), content_type=kind, headers=headers)

    def who(self, token: str):
        return self.web.get("/identity/o/api/userinfo", headers={"Authorization": f"Bearer {token}"})


def code_of(answer) -> str:
    assert answer.status_code == 302, answer.content
    assert answer["Location"].startswith(f"{BACK}?")
    query = parse_qs(urlsplit(answer["Location"]).query)
    assert query["state"] == ["s"]
    return query["code"][0]


def test_a_person_signs_in_to_another_tool_with_the_account_here(wiki, as_, alice):
    tool = Tool(wiki)
    assert tool.about["issuer"] == "http://testserver"
    assert tool.about["response_types_supported"] == ["code"]
    assert "end_session_endpoint" not in tool.about
    led = Client().get(tool.way_in())
    assert led["Location"].startswith("/accounts/login/?next=/identity/o/authorize")
    code = code_of(as_(alice).get(tool.way_in()))
    got = tool.exchange(code).json()
    keys = jwt.PyJWKSet.from_dict(tool.web.get("/.well-known/jwks.json").json())
    claims = jwt.decode(
        got["id_token"], keys.keys[0], ["RS256"], audience=tool.id, issuer="http://testserver"
    )
    assert (claims["email"], claims["name"], claims["nonce"]) == ("alice@example.org", "Alice", "n")
    assert claims["sub"] == str(alice.pk)
    assert tool.who(got["access_token"]).json()["email"] == "alice@example.org"
    assert tool.exchange(code).status_code == 400  # once
    assert (
        Client(headers={"Authorization": f"Bearer {got['access_token']}"}).get("/api/v1/me").status_code
        == 401
    )
    alice.is_active = False
    alice.save(update_fields=["is_active"])
    assert tool.who(got["access_token"]).status_code == 401


def test_who_signs_in_on_the_way_goes_on_from_a_page_of_ours(wiki, alice):
    """The policy on forms would stop a redirect to another site that follows one."""
    way, stranger = Tool(wiki).way_in(), Client()
    form = stranger.get(way)["Location"]
    answer = stranger.post(form, {"login": alice.email, "password": PASSWORD})
    assert answer.status_code == 200
    assert complaints(answer.content.decode()) == []
    wait, _, on = answer["Refresh"].partition("; url=")
    assert wait == "0"
    assert f'href="{on.replace("&", "&amp;")}"' in answer.content.decode()
    assert code_of(stranger.get(on))


def test_who_is_asked_to_confirm_on_the_way_goes_on_from_a_page_of_ours_too(wiki, as_, alice):
    client = as_(alice)
    form = client.get(Tool(wiki).way_in(prompt="login"))["Location"]
    assert form.startswith("/accounts/reauthenticate/?next=")
    wrong = client.post(form, {"password": "wrong"})
    assert "Refresh" not in wrong
    answer = client.post(form, {"password": PASSWORD})
    assert answer.status_code == 200
    on = answer["Refresh"].removeprefix("0; url=")
    assert "prompt" not in on
    assert code_of(client.get(on))


def test_who_has_nothing_to_confirm_with_sets_a_password_on_the_way(wiki, as_, alice):
    client = as_(alice)
    alice.set_unusable_password()
    alice.save(update_fields=["password"])
    client.force_login(alice)
    asked = client.get(Tool(wiki).way_in(prompt="login"), follow=True)
    html = asked.content.decode()
    assert asked.status_code == 200
    assert "Your account has no password yet, so there is nothing to confirm with." in html
    assert complaints(html) == []
    way = unescape(re.search(r'href="(/accounts/password/set/[^"]+)"', html)[1])
    back = parse_qs(urlsplit(way).query)["next"][0]
    form = client.get(way)
    assert f'name="next" value="{escape(back)}"' in form.content.decode()
    new = {"password1": PASSWORD, "password2": PASSWORD, "next": back}
    form = client.post("/accounts/password/set/", new)["Location"]
    assert form == back
    answer = client.post(form, {"password": PASSWORD})
    assert code_of(client.get(answer["Refresh"].removeprefix("0; url=")))


def test_who_has_nothing_to_confirm_with_is_led_nowhere_else(as_, alice):
    client = as_(alice)
    alice.set_unusable_password()
    alice.save(update_fields=["password"])
    client.force_login(alice)
    for place in ("", "2fa/", "2fa/webauthn/"):
        page = client.get(f"/accounts/{place}reauthenticate/?next=https://evil.example.org/")
        assert page.status_code == 200
        assert "evil" not in page.content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"redirect_uri": "https://evil.example.org/"},
        {"redirect_uri": f"{BACK}/../x"},
        {"client_id": "nobody"},
    ],
)
def test_nobody_is_led_where_the_operator_did_not_say(wiki, as_, alice, wrong):
    answer = as_(alice).get(Tool(wiki).way_in(**wrong))
    assert "Location" not in answer
    assert "The sign-in was not finished" in answer.content.decode()


def test_a_tool_gets_nothing_without_its_secret_and_no_more_than_it_may(wiki, as_, alice):
    tool = Tool(wiki)
    code = code_of(as_(alice).get(tool.way_in()))
    assert tool.exchange(code, secret="wrong").status_code == 401
    for scope in ("openid airdeck", "airdeck"):
        refused = as_(alice).get(tool.way_in(scope=scope))
        assert "error=invalid_scope" in refused["Location"]
    assert "error=" in as_(alice).get(tool.way_in(response_type="token"))["Location"]
    assert Client().get("/identity/o/logout")["Location"] == "/accounts/logout/"


def test_pkce_holds_whoever_took_the_code(wiki, as_, alice):
    tool = Tool(wiki)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 50).digest()).decode().rstrip("=")
    code = code_of(as_(alice).get(tool.way_in(code_challenge=challenge, code_challenge_method="S256")))
    assert tool.exchange(code).status_code == 400


def test_without_a_key_there_is_no_provider(as_, alice, settings):
    assert settings.IDP_OIDC_PRIVATE_KEY == ""
    for path in (".well-known/openid-configuration", ".well-known/jwks.json", "identity/o/authorize"):
        assert as_(alice).get(f"/{path}").status_code == 404
    for path in ("userinfo", "revoke"):
        assert Client().post(f"/identity/o/api/{path}").status_code == 404


def test_an_operator_adds_lists_and_removes_tools_by_command(provider):
    def run(*words: str) -> str:
        out = StringIO()
        call_command("tools", *words, stdout=out)
        return out.getvalue()

    told = dict(line.split(": ", 1) for line in run("add", "Wiki", BACK).splitlines())
    client, secret = told["Client ID"].strip(), told["Client secret"].strip()
    assert told["Issuer"].strip() == "http://testserver"
    assert run("list") == f"{client}  Wiki  {BACK}\n"
    assert secret not in str(AuditEvent.objects.values_list())
    assert AuditEvent.objects.get(object_type="tool").verb == "added"
    assert run("remove", client) == "Wiki is removed.\n"
    assert run("list") == ""
    with pytest.raises(CommandError, match="There is no tool with this client id"):
        run("remove", client)


@pytest.mark.parametrize(
    "uri", ["http://wiki.example.org/", "wiki", "https://*.example.org/", "javascript:x", "https://x/#y"]
)
def test_a_redirect_address_that_leaks_is_refused(uri):
    with pytest.raises(InvalidInput, match="is not a redirect address"):
        tools.add(name="Wiki", redirect_uris=[uri])


def test_what_is_no_key_is_refused_without_being_shown():
    for text in ("secret", pem(1024)):
        with pytest.raises(ValueError, match="openssl genrsa") as refused:
            rsa_key(text)
        assert text not in str(refused.value)


def test_what_tools_were_given_is_forgotten_once_its_time_is_over(wiki, alice):
    for moment in (timezone.now(), None):
        Token.objects.create(type="at", hash=str(moment), client=wiki.client, user=alice, expires_at=moment)
    tasks.sweep_mail()
    assert [row.expires_at for row in Token.objects.all()] == [None]
