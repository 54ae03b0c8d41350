"""Other tools into which people sign in with their account here: clients of the console as an OpenID provider. An
operator names them by command (`manage.py tools`)."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from allauth.idp.oidc.adapter import get_adapter
from allauth.idp.oidc.models import Client
from django.db import transaction
from django.db.models import QuerySet

from console.kit import names
from console.kit.refusals import ActionRefused, InvalidInput
from workspaces import audit
from workspaces.audited import Subject
from workspaces.sign_in.devices import CLIENT

NAME_LENGTH = 100
SCOPES = ["openid", "profile", "email"]
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class NoSuchTool(ActionRefused):
    """There is none with this client id."""

    code, status = "no_such_tool", 404

    def __init__(self) -> None:
        super().__init__("There is no tool with this client id. List them with: manage.py tools list")


@dataclass(frozen=True)
class Added:
    """A tool, and its client secret: the only time that it is known."""

    client: Client
    secret: str = field(repr=False)


@transaction.atomic
def add(*, name: str, redirect_uris: list[str]) -> Added:
    """One more tool. It may ask people to be led back to these addresses alone. Raises InvalidInput."""
    problems = {uri: why for uri in redirect_uris if (why := _problem(uri))}
    if not redirect_uris:
        problems["redirect_uri"] = "Name at least one redirect address."
    try:
        cleaned = names.clean(name, longest=NAME_LENGTH)
    except ValueError as error:
        cleaned, problems["name"] = "", str(error)
    if problems:
        raise InvalidInput(problems)
    client = Client(name=cleaned, skip_consent=True)
    client.set_redirect_uris(redirect_uris)
    client.set_scopes(SCOPES)
    client.set_grant_types([Client.GrantType.AUTHORIZATION_CODE, Client.GrantType.REFRESH_TOKEN])
    secret = get_adapter().generate_client_secret()
    client.set_secret(secret)
    client.save(force_insert=True)
    audit.record(Subject("tool", client.pk, client.name), None, "added", new={"redirect_uris": redirect_uris})
    return Added(client, secret)


@transaction.atomic
def remove(*, client_id: str) -> str:
    """No one signs in to it from now on, and what it was given ends. Its name. Raises NoSuchTool."""
    client = listed().select_for_update().filter(pk=client_id).first()
    if client is None:
        raise NoSuchTool
    audit.record(Subject("tool", client.pk, client.name), None, "removed")
    client.delete()
    return str(client.name)


def listed() -> QuerySet[Client]:
    """All of them, by name; the command line is none."""
    found: QuerySet[Client] = Client.objects.exclude(pk=CLIENT).order_by("name")
    return found


def _problem(uri: str) -> str:
    try:
        parts = urlsplit(uri)
        sound = bool(parts.hostname) and not parts.fragment and "*" not in uri
    except ValueError:
        return f"{uri} is not an address."
    if sound and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
        return ""
    return f"{uri} is not a redirect address. Use https, in full and without *; http only on this machine."
