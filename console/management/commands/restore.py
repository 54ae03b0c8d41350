"""`manage.py restore FILE`: an installation out of a backup, into an empty database."""

import io
import shlex
import shutil
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from console.backup import code, keys, tables
from console.backup.archive import BackupRefused, Reader
from deployments.clusters import connections
from deployments.dataplane.contract import ClusterConfig
from deployments.models import Cluster
from deployments.reconciler import leases

STANDARD_INPUT = "-"


@contextmanager
def _on_disk(name: str) -> Iterator[Path]:
    """The file; it is read more than once, so what comes by standard input is kept in one for as long as that takes."""
    if name != STANDARD_INPUT:
        yield Path(name)
        return
    with tempfile.NamedTemporaryFile(prefix="airdeck-restore-") as kept:
        try:
            shutil.copyfileobj(sys.stdin.buffer, kept)
            kept.flush()
        except OSError as error:
            raise CommandError(f"{tempfile.gettempdir()} does not take the file: {error.strerror}.") from None
        yield Path(kept.name)


class Command(BaseCommand):
    """Everything is judged before anything is changed, and the rows come back all or none."""

    help = "Fill an empty database with what `manage.py backup` wrote."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file, or - for standard input; whether only to ask, or only the code."""
        parser.add_argument("file", help="what backup wrote; - for standard input")
        only = parser.add_mutually_exclusive_group()
        only.add_argument(
            "--check",
            action="store_true",
            help="change nothing: say whether the file is whole and could be restored",
        )
        only.add_argument(
            "--code",
            action="store_true",
            help="after a restore: put back only the code that a cluster did not take then",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """May be repeated after whatever ended it: while nothing is restored, the database counts as empty."""
        with _on_disk(options["file"]) as file:
            if options["code"]:
                self._load_code(file, options["file"])
            elif options["check"]:
                self._check(file)
            else:
                self._restore(file, options["file"])

    def _load_code(self, file: Path, name: str) -> None:
        """Of Deployments that there are. No row is read from the file, so their present state stays."""
        try:
            reader = Reader(file)
            if not reader.contents_of("code"):
                raise BackupRefused("There is no code in this backup: it was taken with --without-code.")
            loaded = code.load(reader)
        except BackupRefused as refusal:
            raise CommandError(str(refusal)) from None
        for note in loaded.notes:
            self.stdout.write(note)
        if loaded.missing:
            raise CommandError("\n".join([*loaded.missing, _later(name)]))
        of = "1 Deployment" if loaded.back == 1 else f"{loaded.back:,} Deployments"
        self.stdout.write(f"The code of {of} is back. Passes make it active.")

    def _check(self, file: Path) -> None:
        """Of the file alone: whether the database is empty is no matter. It is read whole, as a restore reads it."""
        try:
            reader = Reader(file)
            notes = keys.refuse_others(reader.about["keys"])
            self._judge_version(reader)
        except BackupRefused as refusal:
            raise CommandError(str(refusal)) from None
        rows, code_files = sum(reader.contents["rows"].values()), len(reader.contents_of("code"))
        self.stdout.write(
            f"The backup of {reader.about['made_at']} is whole: {rows:,} rows, {code_files:,} files of code. This "
            "version and its keys can restore it."
        )
        for note in notes:
            self.stdout.write(note)

    def _restore(self, file: Path, name: str) -> None:
        try:
            reader = Reader(file)
            notes = keys.refuse_others(reader.about["keys"])
            self._judge_version(reader)
            self._judge(reader)
            with transaction.atomic():
                reach = self._reach()
                rows = tables.load(reader)
                if reach is not None:
                    connections.ensure_embedded(
                        database_url=reach.database_url, settings=dict(reach.settings)
                    )
                leases.forget_all()
                notes += self._data_planes(reader, name)
        except BackupRefused as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(f"Restored {rows:,} rows of {reader.about['made_at']}.")
        for note in notes:
            self.stdout.write(note)
        self.stdout.write(
            "Start the processes: every Deployment is compared with what really runs, and made true."
        )

    @staticmethod
    def _reach() -> ClusterConfig | None:
        """How the Deployments of this machine are reached here; None where there are none."""
        here = Cluster.objects.filter(kind=Cluster.Kind.LOCAL).first()
        return connections.config(here) if here else None

    @staticmethod
    def _judge_version(reader: Reader) -> None:
        about, here = reader.about, tables.schema()
        if tables.of_another_version(about["migrations"], here):
            raise BackupRefused(
                f"This backup is of Airdeck {about['airdeck']} (tables {tables.describe(about['migrations'])}); this "
                f"is {settings.VERSION} ({tables.describe(here)}). Restore it with that version, then update."
            )

    @staticmethod
    def _judge(reader: Reader) -> None:
        """That this database is not in use, and has room for all."""
        found = tables.rows_in_use()
        if found:
            raise BackupRefused(
                f"This database is in use: it holds {found:,} accounts, Workspaces and Deployments. Restore into an "
                "empty one."
            )
        call_command("prepare", verbosity=0, stdout=io.StringIO())
        tables.refuse_without_room(reader)

    @staticmethod
    def _data_planes(reader: Reader, name: str) -> list[str]:
        notes = []
        if settings.EMBEDDED:
            from console.backup import machine  # what it needs is not in production's image

            machine.make_folders()
            notes += machine.load(reader)
        loaded = code.load(reader)
        later = [*loaded.missing, _later(name)] if loaded.missing else []
        return [*notes, *loaded.notes, *later]


def _later(name: str) -> str:
    return f"Once that is put right, load it with: restore {shlex.quote(name)} --code"
