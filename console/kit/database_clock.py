"""The clock of the database: those of processes and machines may differ, it decides."""

from datetime import datetime

from django.db import connection


def database_now() -> datetime:
    """The present moment by the database, aware; also within a transaction it goes on. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment
