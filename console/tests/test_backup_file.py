"""The file that a backup writes, and what is left when it fails: nothing."""

# ruff: noqa: F811

import errno
import json
import os
import stat
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from console.backup import archive, keys, tables
from console.embedded import postgres
from console.tests import services
from console.tests.test_backup import (  # noqa: F401 - fixtures
    backup,
    file,
    furnished,
    members,
    rows,
    saved,
    settle,
)
from deployments.dataplane.code import CodeDamaged
from deployments.dataplane.contract import Ref
from deployments.models import CodeManifest, Deployment
from deployments.reconciler.reconcile import reconcile

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_file_is_its_owner_s_alone_and_says_what_it_is(furnished, file):
    backup(file)
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    about = json.loads(members(file)["airdeck.json"])
    assert (about["format"], about["airdeck"]) == (1, "0.1.0")
    assert any(each.startswith("deployments ") for each in about["migrations"])
    assert about["keys"] == keys.fingerprints()


def test_it_holds_no_session_and_no_key(furnished, file, settings, as_, alice):
    as_(alice)
    backup(file)
    found = members(file)
    assert not {name for name in found if "session" in name}
    everything = b"".join(found.values())
    for key in (*settings.ENCRYPTION_KEYS, settings.SECRET_KEY):
        assert key.encode() not in everything


def test_keys_leave_only_when_asked_for_to_a_new_file_of_their_owner(furnished, file, tmp_path, settings):
    backup(file, "--keys", str(tmp_path / "keys"))
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600
    lines = dict(line.split("=", 1) for line in (tmp_path / "keys").read_text().splitlines())
    assert lines == {"SECRET_KEY": settings.SECRET_KEY, "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS)}
    with pytest.raises(CommandError, match=r"is there already\. Name another file for the keys"):
        backup(f"{file}.2", "--keys", str(tmp_path / "keys"))
    assert not Path(f"{file}.2").exists()


def test_a_file_that_is_there_is_not_overwritten(furnished, file):
    Path(file).write_text("mine")
    with pytest.raises(CommandError, match=r"is there already\. Name a new file"):
        backup(file)
    assert Path(file).read_text() == "mine"


def test_a_backup_whose_code_cannot_be_read_leaves_no_half_file_and_no_keys(
    furnished, driver, file, tmp_path
):
    driver.codes[furnished.release_name].contents.clear()
    with pytest.raises(CommandError, match=r"cannot be read: .* add --without-code"):
        backup(file, "--keys", str(tmp_path / "keys"))
    assert list(tmp_path.iterdir()) == []
    backup(file, "--keys", str(tmp_path / "keys"), "--without-code")
    assert {each.name for each in tmp_path.iterdir()} == {Path(file).name, "keys"}


def test_a_file_has_its_name_only_once_it_is_whole_and_what_was_killed_is_not_in_the_way(
    furnished, file, monkeypatch
):
    Path(f"{file}.partial").write_text("of a backup that was killed")
    seen = []
    pack = tables.pack

    def while_it_is_written(writer: archive.Writer) -> int:
        seen.append(Path(file).exists())
        return pack(writer)

    monkeypatch.setattr(tables, "pack", while_it_is_written)
    backup(file)
    assert seen == [False]
    assert archive.Reader(Path(file)).contents["rows"]["deployments_deployment"] == 1
    assert not Path(f"{file}.partial").exists()


@pytest.mark.parametrize("option", ["file", "keys"])
def test_a_folder_that_is_not_there_is_named_in_a_sentence(option, furnished, file, tmp_path):
    nowhere = str(tmp_path / "nowhere" / "name")
    with pytest.raises(CommandError, match="name cannot be written: No such file or directory"):
        backup(*([nowhere] if option == "file" else [file, "--keys", nowhere]))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_is_told_in_a_sentence(furnished, file, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(archive.Writer, "add", full)
    with pytest.raises(CommandError, match=r"No backup was written: No space left on device\."):
        backup(file)


def test_a_table_that_an_update_holds_is_told_in_a_sentence(furnished, file):
    with psycopg.connect(postgres.url(services.STATE, connection.settings_dict["NAME"])) as other:
        other.execute("LOCK TABLE workspaces_workspace IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(CommandError, match=r"Is an update under way\? Try again"):
            backup(file)
    assert not Path(file).exists()


def test_a_deployment_that_is_being_deleted_and_whose_code_is_gone_stops_no_backup(furnished, driver, file):
    Deployment.objects.filter(pk=furnished.pk).update(delete_requested_at=timezone.now())
    driver.codes[furnished.release_name].contents.clear()
    backup(file)
    services.flush()
    call_command("restore", file)
    assert Deployment.objects.get().is_deleting


def test_a_check_reads_the_whole_file_beside_what_runs_and_changes_nothing(
    furnished, file, settings, tmp_path, capsys
):
    backup(file)
    before = rows()
    call_command("restore", file, "--check")
    said = capsys.readouterr().out
    assert f"{sum(archive.Reader(Path(file)).contents['rows'].values()):,} rows, 2 files of code." in said
    cut = tmp_path / "cut"
    cut.write_bytes(Path(file).read_bytes()[:-2000])
    with pytest.raises(CommandError, match=r"is damaged|was cut short"):
        call_command("restore", str(cut), "--check")
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="keys that ENCRYPTION_KEYS does not hold"):
        call_command("restore", file, "--check")
    assert rows() == before


def test_code_whose_data_plane_is_away_is_a_note_and_comes_back_by_a_command_later(
    saved, driver, monkeypatch, capsys
):
    def away(*_: object) -> None:
        raise CodeDamaged("The disk is full.")

    driver.codes.clear()
    with monkeypatch.context() as patch:
        patch.setattr("deployments.dataplane.fake_code.ScriptedCode.receive", away)
        call_command("restore", saved)
        told = capsys.readouterr().out
        assert "is not back: The disk is full." in told
        assert f"load it with: restore {saved} --code\n" in told
        assert Deployment.objects.count() == CodeManifest.objects.count() == 1
        with pytest.raises(CommandError, match=r"is not back: The disk is full\.\nOnce that is put right"):
            call_command("restore", saved, "--code")
    Deployment.objects.update(description="Changed since")
    row = Deployment.objects.get()
    code = driver.code(Ref(str(row.pk), row.release_name))
    for _ in range(3):
        reconcile(row.pk)  # passes meanwhile find nothing to activate
    assert (code.contents, code.current) == ({}, "")
    for _ in range(2):
        call_command("restore", saved, "--code")
        assert "The code of 1 Deployment is back." in capsys.readouterr().out
    assert settle(row).description == "Changed since"
    assert code.current == row.code_version


def test_code_of_a_backup_without_code_is_not_loaded(furnished, file):
    backup(file, "--without-code")
    with pytest.raises(CommandError, match="There is no code in this backup"):
        call_command("restore", file, "--code")
