"""`manage.py backup FILE`: what counts of this installation, as one file."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.utils import timezone

from console.backup import code, keys, tables
from console.backup.archive import BackupRefused, Writer

STANDARD_OUTPUT = "-"


class Command(BaseCommand):
    """While everything runs. What it writes holds no key: keep the keys apart from it."""

    help = "Write the console's database and deployed code to a file; `-` is standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to, and what else."""
        parser.add_argument("file", help="a new file, of mode 0600; - for standard output")
        parser.add_argument(
            "--keys", type=Path, metavar="FILE", help="also write the keys, to a new file of mode 0600"
        )
        parser.add_argument(
            "--without-code", action="store_true", help="leave the contents of deployed code out"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """A file of that name is whole: until it is, it has another one. What failed leaves neither it nor keys."""
        if tables.applied() != tables.schema():
            raise CommandError(
                "The tables are not those of this version. Run `python -m console.processes migrate`."
            )
        try:
            with keys.beside(options["keys"]), _opened(options["file"]) as out:
                summary = self._write(out, with_code=not options["without_code"])
        except BackupRefused as refusal:
            raise CommandError(str(refusal)) from None
        except OperationalError as error:
            raise CommandError(
                "The database did not hand everything out, and no backup was written. Is an update under way? Try "
                f"again. ({str(error).splitlines()[0]})"
            ) from None
        except OSError as error:
            raise CommandError(f"No backup was written: {error.strerror or type(error).__name__}.") from None
        self.stderr.write(summary)

    @staticmethod
    def _write(out: IO[bytes], *, with_code: bool) -> str:
        about = {
            "airdeck": settings.VERSION,
            "made_at": timezone.now().isoformat(timespec="seconds"),
            "migrations": tables.schema(),
            "keys": keys.fingerprints(),
        }
        writer, here = Writer(out, about), 0
        try:
            rows = tables.pack(writer)
            contents = code.pack(writer) if with_code else 0
            if settings.EMBEDDED:
                from console.backup import machine  # what it needs is not in production's image

                here = machine.pack(writer)
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        databases = f", and the databases and folders of {here} Deployments of this machine" if here else ""
        return f"Saved {rows:,} rows, {contents:,} files of code{databases}."


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    file = Path(name)
    if os.path.lexists(file):
        raise BackupRefused(f"{name} is there already. Name a new file.")
    draft = file.with_name(f"{file.name}.partial")
    try:
        draft.unlink(missing_ok=True)  # of a backup that was killed
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BackupRefused(f"{name} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        draft.rename(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
