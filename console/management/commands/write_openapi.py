"""Write docs/openapi.json, the committed description of the API. Refuses a change that takes anything away."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from console.api import document
from console.api.growth import narrowed


class Command(BaseCommand):
    """Writes docs/openapi.json, unless that takes something away from version 1."""

    help = "write docs/openapi.json; refuses what removes or narrows something of it"
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare with what is committed, then write."""
        before = document.committed()
        if before and (lost := narrowed(json.loads(before), document.document())):
            listed = "\n".join(f"  {each}" for each in lost)
            raise CommandError(f"Version 1 of the API only grows. This takes something away:\n{listed}")
        (settings.BASE_DIR / document.FILE).write_text(document.text())
        self.stdout.write(f"{document.FILE} is written.")
