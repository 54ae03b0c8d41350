"""`manage.py rotate_keys`: put every secret under the newest encryption key."""

from typing import Any

from django.core.management.base import BaseCommand

from deployments.secrets.rotation import rotate_all


class Command(BaseCommand):
    """Run after putting a new key in front of ENCRYPTION_KEYS; then the old keys may be dropped."""

    help = "Encrypt every stored secret with the first of ENCRYPTION_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        """May be stopped and run again at any time."""
        count = rotate_all()
        self.stdout.write(f"{count} secrets are under the first key. The other keys may be dropped now.")
