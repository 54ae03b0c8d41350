"""One at a time, in any process: what is read, decided and written under a name."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Others that say the same name wait, until this block's transaction, or that around it, ends."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        yield
