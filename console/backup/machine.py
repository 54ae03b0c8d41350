"""What the Deployments of this machine have here: their databases, and the folders that people put files into."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from console.backup.archive import BackupRefused, Reader, Writer
from console.embedded import postgres_home
from deployments.clusters import connections
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.postgres import databases
from deployments.models import Cluster, Deployment
from deployments.secrets import vault

FOLDERS = ("dags", "plugins")
CONNECTION_LIMIT = 20  # the driver sets the right one in its next pass
VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}  # libpq's


def pack(writer: Writer) -> int:
    """The database and the folders of each; how many Deployments."""
    count = 0
    for deployment, admin_url in _here():
        name = databases.database_name(deployment.release_name)
        found = databases.find(admin_url, deployment.release_name, str(deployment.pk))
        with tempfile.TemporaryDirectory(prefix="airdeck-backup-") as folder:
            if found.ready:
                dump = Path(folder) / "database"
                _run("pg_dump", admin_url, name, ("--format=custom", "--no-owner", f"--file={dump}"))
                writer.add_file(f"machine/{deployment.release_name}/database", dump)
                writer.contents.setdefault("migrated_to", {})[deployment.release_name] = found.runtime
            files = Path(folder) / "files"
            _pack(StateDir(settings.STATE_DIR).deployment(deployment.release_name), files)
            writer.add_file(f"machine/{deployment.release_name}/files", files)
        count += 1
    return count


def load(reader: Reader) -> list[str]:
    """Put them back; a sentence for each that is in the way. The rows are back already."""
    held, notes, here = reader.contents_of("machine"), [], {}
    for deployment, admin_url in _here():
        release = deployment.release_name
        own = databases.find(admin_url, release, str(deployment.pk))
        if own.database and not own.ready:  # a restore was cut short
            databases.drop_database(admin_url, release, str(deployment.pk))
        elif f"machine/{release}/database" in held and own.database:
            notes.append(f"The database of {release} is there already and was left as it is.")
            held = held - {f"machine/{release}/database"}
        here[release] = deployment, admin_url
    for name, stream in reader.members():
        release = name.split("/")[1] if name in held else ""
        if release not in here:
            continue
        if name.endswith("/database"):
            _put_database(*here[release], reader.contents["migrated_to"][release], stream)
        else:
            _unpack(stream, StateDir(settings.STATE_DIR).deployment(release))
    return notes


def make_folders() -> None:
    """The folder of each Deployment, in which its code is kept; the driver's passes fill in the rest."""
    for deployment, _ in _here():
        folder = StateDir(settings.STATE_DIR).deployment(deployment.release_name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _here() -> Iterator[tuple[Deployment, str]]:
    """The Deployments of this machine that are to stay, each with the URL of their server's administrator."""
    rows = Deployment.objects.filter(delete_requested_at__isnull=True, cluster__kind=Cluster.Kind.LOCAL)
    for deployment in rows.select_related("cluster"):
        yield deployment, _admin_url(deployment.cluster)


def _admin_url(cluster: Cluster) -> str:
    return connections.config(cluster).database_url


def _put_database(deployment: Deployment, admin_url: str, runtime: str, stream: IO[bytes]) -> None:
    """Its role and an empty database, then what was in it, as its role's own; last the mark that it is whole. The role
    itself puts it there: functions that its owner wrote into tables run while their rows come back."""
    release, password = deployment.release_name, vault.read(deployment).database_password
    ensure = partial(
        databases.ensure_database,
        admin_url,
        release,
        str(deployment.pk),
        password=password,
        template="",
        connection_limit=CONNECTION_LIMIT,
    )
    ensure(ready=False)
    name = databases.database_name(release)
    with tempfile.NamedTemporaryFile(prefix="airdeck-restore-") as file:
        shutil.copyfileobj(stream, file)
        file.flush()
        options = ("--no-owner", "--exit-on-error", "--single-transaction", file.name)
        own = databases.url(admin_url, database=name, user=name, password=password)
        _run("pg_restore", own, name, (f"--dbname={name}", *options))
    ensure(runtime=runtime)


def _run(program: str, url: str, database: str, arguments: tuple[str, ...]) -> None:
    """One of Postgres's programs on a database. How it signs in stands in its environment, never in its arguments."""
    found = conninfo_to_dict(url)
    sign_in = {
        VARIABLES[key]: str(value) for key, value in found.items() if key in VARIABLES and value is not None
    }
    argv = [str(postgres_home.shipped() / program), *arguments]
    done = subprocess.run(
        argv,
        env={"PATH": os.defpath, **sign_in, "PGDATABASE": database},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BackupRefused(f"{program} of database {database} failed: {last}.")


def _pack(folder: Path, file: Path) -> None:
    with tarfile.open(file, "w") as tar:
        for name in FOLDERS:
            if (folder / name).is_dir():
                tar.add(folder / name, name, filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Files and folders; a link may lead anywhere."""
    return member if member.isfile() or member.isdir() else None


def _unpack(stream: IO[bytes], folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if not (folder / member.name).is_file():  # a file that is there is kept
                tar.extract(member, folder, filter="data")
