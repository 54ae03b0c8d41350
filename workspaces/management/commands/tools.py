"""`manage.py tools`: which other tools people sign in to with their account here."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.kit.refusals import ActionRefused
from workspaces.actions import tools


class Command(BaseCommand):
    """Adds, lists and removes clients of the console as an OpenID provider."""

    help = "List, add and remove tools that people sign in to with their Airdeck account (OpenID Connect)."

    def add_arguments(self, parser: CommandParser) -> None:
        """A verb: list, add or remove."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="List them. No secret is printed.")
        adding = verbs.add_parser("add", help="Add one. Its client secret is printed this once.")
        adding.add_argument("name", help="What it is called.")
        adding.add_argument("redirect_uri", nargs="+", help="Where it wants people led back to.")
        removing = verbs.add_parser("remove", help="Remove one. No one signs in to it from now on.")
        removing.add_argument("client_id")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what the verb says."""
        try:
            getattr(self, f"_{options['verb']}")(options)
        except ActionRefused as refused:
            raise CommandError(refused.sentence) from None

    def _list(self, options: dict[str, Any]) -> None:
        for client in tools.listed():
            self.stdout.write(f"{client.pk}  {client.name}  {' '.join(client.get_redirect_uris())}")

    def _add(self, options: dict[str, Any]) -> None:
        added = tools.add(name=options["name"], redirect_uris=options["redirect_uri"])
        self.stdout.write(f"Issuer:        {settings.BASE_URL}")
        self.stdout.write(f"Client ID:     {added.client.pk}")
        self.stdout.write(f"Client secret: {added.secret}")
        if not settings.IDP_OIDC_PRIVATE_KEY:
            self.stderr.write(
                "Airdeck has no key to sign with yet: make one with `openssl genrsa -out identity.pem 2048`, let "
                "IDENTITY_KEY_FILE name it, and restart."
            )

    def _remove(self, options: dict[str, Any]) -> None:
        self.stdout.write(f"{tools.remove(client_id=options['client_id'])} is removed.")
