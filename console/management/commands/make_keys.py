"""`manage.py make_keys`: the two secrets that a console in production cannot do without."""

import secrets
from typing import Any

from cryptography.fernet import Fernet
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Prints them, once, and stores nothing: put them where your secrets are. It needs no setting and no database."""

    help = "Print a SECRET_KEY and an ENCRYPTION_KEYS, as lines of an env file."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """New ones at every call."""
        self.stdout.write(f"SECRET_KEY={secrets.token_urlsafe(50)}")
        self.stdout.write(f"ENCRYPTION_KEYS={Fernet.generate_key().decode()}")
