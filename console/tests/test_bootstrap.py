"""What every start of the embedded default prepares."""

import os
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.contrib.staticfiles import finders
from django.db import connection

from console.management.commands import bootstrap


@pytest.fixture
def collected(tmp_path, settings, monkeypatch) -> Path:
    """A folder of sources, of which `collectstatic` only notes that it was asked for."""
    sources, root = tmp_path / "sources", tmp_path / "collected"
    sources.mkdir()
    root.mkdir()
    (sources / "page.css").write_text("a { color: red }")
    settings.STATICFILES_DIRS, settings.STATIC_ROOT = [*settings.STATICFILES_DIRS, sources], root
    monkeypatch.setattr(bootstrap, "call_command", lambda *_, **__: None)
    yield sources
    finders.get_finder.cache_clear()


def start() -> bool:
    """Whether a new process collects."""
    finders.get_finder.cache_clear()
    return bootstrap._collect_static()


def test_a_later_start_finds_the_static_files_as_it_left_them_and_web_is_not_started_twice(collected):
    assert start()
    assert not start()


def test_a_static_file_that_changed_is_collected_whatever_its_time_says(collected):
    file = collected / "page.css"
    before = file.stat()
    start()
    file.write_text("a { color: tan }")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert start()
    assert not start()


@pytest.mark.django_db
def test_airflows_that_take_every_connection_leave_some_for_the_console():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('superuser_reserved_connections')::int, rolsuper "
            "FROM pg_roles WHERE rolname = current_user"
        )
        reserved, is_superuser = cursor.fetchone()
    assert is_superuser
    assert reserved >= configured.DATABASE_POOL + 20  # web; passes, observer, upkeep and commands
