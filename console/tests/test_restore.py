"""The drill of docs/operations.md, Backup and restore: the database by pg_dump and pg_restore, its keys apart."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.db import connection

from console.embedded import postgres, postgres_home
from console.tests import services
from deployments.secrets import vault

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = postgres_home.shipped()
READ = """
import json, django
django.setup()
from deployments.models import Deployment
from deployments.secrets import vault
print(json.dumps({each.name: vault.admin_password(each) for each in Deployment.objects.all()}))
"""


@pytest.fixture
def restored() -> Iterator[str]:
    """The URL of an empty database."""
    name = f"{connection.settings_dict['NAME']}_restored"
    with psycopg.connect(postgres.url(services.STATE, "postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        yield postgres.url(services.STATE, name)
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def run(*argv: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        argv, env=os.environ | changes, cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.django_db(transaction=True)
def test_a_restored_database_reads_its_secrets_with_its_keys_and_with_no_others(
    deployment, restored, tmp_path
):
    url = postgres.url(services.STATE, connection.settings_dict["NAME"])
    dump = str(tmp_path / "airdeck.dump")
    taken = run(str(PROGRAMS / "pg_dump"), "--format=custom", f"--file={dump}", url)
    assert taken.returncode == 0, taken.stderr
    password = vault.admin_password(deployment)
    assert password.encode() not in Path(dump).read_bytes()

    back = run(str(PROGRAMS / "pg_restore"), "--no-owner", "--exit-on-error", f"--dbname={restored}", dump)
    assert back.returncode == 0, back.stderr
    migrated = run(sys.executable, "-m", "console.processes", "migrate", DATABASE_URL=restored)
    assert migrated.returncode == 0, migrated.stderr

    environment = {"DATABASE_URL": restored, "DJANGO_SETTINGS_MODULE": "console.settings"}
    read = run(sys.executable, "-c", READ, **environment)
    assert json.loads(read.stdout) == {"Analytics": password}, read.stderr
    other = tmp_path / "other_keys"
    other.write_text(Fernet.generate_key().decode())
    refused = run(sys.executable, "-c", READ, **environment, ENCRYPTION_KEYS_FILE=str(other))
    assert refused.returncode == 1
    assert "No configured key opens the secret" in refused.stderr
