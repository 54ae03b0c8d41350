"""`manage.py prepare`: what every update of a console in production needs before its processes start."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection

from console.management.migration_lock import MIGRATION_LOCK
from deployments.clusters import catalogue


class Command(BaseCommand):
    """Migrations and the runtimes that ship, of one process at a time. May be killed and repeated at any instant."""

    help = "Apply pending migrations, and add the runtimes that this version brings."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--check, with which it only asks."""
        parser.add_argument(
            "--check", action="store_true", help="change nothing; end with 1 while a migration is pending"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """With --check a question: processes of a new version wait for it."""
        if options["check"]:
            call_command("migrate", check_unapplied=True, verbosity=options["verbosity"])
            return
        with connection.cursor() as cursor:
            # A migration may take longer than a page may, and a second process waits here until the first is done. The
            # limit for locks stays for the migrations: what holds up people's pages gives up, and is tried again.
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("SET lock_timeout = 0")
            cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            cursor.execute("SET lock_timeout = 2000")
            try:
                call_command("migrate", interactive=False, verbosity=options["verbosity"])
                catalogue.apply()
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        self.stdout.write("The database is ready for this version.")
