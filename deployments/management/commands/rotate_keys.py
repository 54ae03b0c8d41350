"""`manage.py rotate_keys`: put every secret under the newest encryption key."""

from typing import Any

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError

from deployments.secrets.rotation import rotate_all


class Command(BaseCommand):
    """Run after putting a new key in front of ENCRYPTION_KEYS; then the old keys may be dropped."""

    help = "Encrypt every stored secret with the first of ENCRYPTION_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        """May be stopped and run again at any time. Ends with 1 when a key is missing, so that none is dropped."""
        try:
            count = rotate_all()
        except InvalidToken:
            raise CommandError(
                "A stored secret is under a key that ENCRYPTION_KEYS does not hold. Put that key back behind the first "
                "one and run this again; drop no key before."
            ) from None
        self.stdout.write(f"{count} secrets are under the first key. The other keys may be dropped now.")
