"""The code of one Deployment in the cluster's primary Postgres (`code_schema`): contents by their SHA-256, in parts of
at most 1 MiB, each packed and with a mark of what was stored. A version is a row that names a manifest; its code
server puts the files together."""

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from deployments.dataplane.code import STORE_BYTES, CodeDamaged, CodeFull, CodeReport
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.postgres import airflow_metadata, code_schema, databases
from deployments.dataplane.postgres.databases import Connection
from deployments.domain.code_manifest import CodeFile, CodeVersion, Manifest

PART = 1024 * 1024  # of content; a code server holds one at a time
BATCH = 4 * PART  # of what is sent at once
PROVEN = 64 * PART  # of what one statement proves
KEPT_FOR = "1 hour"  # what is younger may belong to a deploy whose row is not written yet
LEVEL = 1  # of packing: the network and the server's disk are slower than this
NOT_THERE = (
    "This Deployment's database is not on the cluster's primary Postgres. Nothing can be deployed to it."
)
FULL = (
    "The disk of the cluster's primary Postgres is full. Make room there and deploy again; the code that runs is not "
    "touched."
)


class _Scratch(AbstractContextManager[Path]):
    """A fresh folder of this machine."""

    def __init__(self) -> None:
        self._made = TemporaryDirectory(prefix="airdeck-code-", ignore_cleanup_errors=True)

    def __enter__(self) -> Path:
        return Path(self._made.name)

    def __exit__(self, *_: object) -> None:
        self._made.cleanup()


class PostgresCode:
    """The CodeStore of a Deployment. See `dataplane/code.py` for what holds of every method."""

    def __init__(self, admin_url: str, release_name: str, deployment_id: str) -> None:
        self._admin_url, self._release_name, self._deployment_id = admin_url, release_name, deployment_id

    def scratch(self) -> AbstractContextManager[Path]:
        return _Scratch()

    def receive(self, scratch: Path, manifest: Manifest) -> None:
        self._ensure()
        sizes = {file.sha256: file.size for file in manifest.files}
        with self._there() as inside, _full_in_words():
            # Young again, so that nothing of it is dropped while this deploy is written down.
            rows = inside.execute(
                "UPDATE contents SET received = now() WHERE sha256 = ANY(%s) RETURNING sha256", (list(sizes),)
            ).fetchall()
            known = {str(row[0]) for row in rows}
            new = {sha256: size for sha256, size in sizes.items() if sha256 not in known}
            (held,) = inside.execute("SELECT coalesce(sum(size), 0) FROM contents").fetchone() or (0,)
            if held + sum(new.values()) > STORE_BYTES:
                raise CodeFull(
                    f"The kept versions of this Deployment's code fill its {STORE_BYTES // 1024**3} GiB. Deploy less, "
                    "or wait until older versions are no longer kept (90 days)."
                )
            for batch in _batches(new, BATCH):
                _insert(inside, scratch, batch)
            inside.execute(
                "INSERT INTO manifests (digest, document) VALUES (%s, %s) "
                "ON CONFLICT (digest) DO UPDATE SET received = now()",
                (manifest.digest, zlib.compress(manifest.document.encode())),
            )

    def _ensure(self) -> None:
        """A Deployment that was applied by an Airdeck without code gets its tables now, its code server later. So does
        one whose tables were lost."""
        found = databases.find(self._admin_url, self._release_name, self._deployment_id)
        if not found.ready:
            raise DataPlaneError(NOT_THERE)
        with self._opened() as inside:
            lost = inside is None
        if lost:
            code_schema.ensure(self._admin_url, self._release_name, self._deployment_id)

    def read(self, file: CodeFile) -> bytes:
        content = b""
        with self._opened() as inside:
            if inside is not None:
                rows = inside.execute(
                    "SELECT data FROM chunks WHERE sha256 = %s ORDER BY part", (file.sha256,)
                ).fetchall()
                content = b"".join(_unpacked(bytes(row[0])) for row in rows)
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise _damaged(file)
        return content

    def folder(self) -> None:
        """None: before the first deploy, code comes with the image, which no version can hold."""

    def build(self, code: CodeVersion) -> None:
        with self._there() as inside:
            self._build(inside, code)

    def _build(self, inside: Connection, code: CodeVersion) -> None:
        if inside.execute("SELECT 1 FROM versions WHERE name = %s", (code.name,)).fetchone():
            return
        files = {file.sha256: file for file in self._manifest(inside, code.manifest).files}
        for batch in _batches({sha256: file.size for sha256, file in files.items()}, PROVEN):
            wrong = inside.execute(
                # By the marks of what was stored, where it is stored: nothing travels. The bundle that unpacks
                # the version proves every file by its own SHA-256.
                "SELECT asked.sha256 FROM unnest(%s::text[]) AS asked (sha256) LEFT JOIN contents USING (sha256) "
                "WHERE parts IS DISTINCT FROM (SELECT count(*) FROM chunks "
                "WHERE chunks.sha256 = asked.sha256 AND sha256(data) = mark) LIMIT 1",
                (batch,),
            ).fetchone()
            if wrong is not None:
                raise _damaged(files[str(wrong[0])])
        inside.execute(
            "INSERT INTO versions (name, manifest) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (code.name, code.manifest),
        )

    def activate(self, code: CodeVersion) -> bool:
        """Make the version the one that runs. Whether it was not. The code server knows it within two seconds."""
        self._ensure()
        with self._there() as inside:
            if _active(inside) == code.name:
                return False
            self._build(inside, code)
            inside.execute(
                "INSERT INTO active (name) VALUES (%s) ON CONFLICT (one) DO UPDATE SET name = excluded.name",
                (code.name,),
            )
        return True

    def active(self) -> str:
        with self._opened() as inside:
            return _active(inside) if inside is not None else ""

    def report(self) -> CodeReport:
        return airflow_metadata.code_report(self._admin_url, self._release_name)

    def keep(self, manifests: frozenset[str], versions: frozenset[str]) -> None:
        with self._opened() as inside:
            if inside is None:
                return
            inside.execute("DELETE FROM versions WHERE NOT name = ANY(%s)", ([_active(inside), *versions],))
            inside.execute(
                f"DELETE FROM manifests WHERE received < now() - interval '{KEPT_FOR}' AND NOT digest = ANY(%s) "  # noqa: S608 - a constant
                "AND digest NOT IN (SELECT manifest FROM versions)",
                (list(manifests),),
            )
            needed: set[str] = set()
            for (digest,) in inside.execute("SELECT digest FROM manifests").fetchall():
                needed |= {file.sha256 for file in self._manifest(inside, str(digest)).files}
            rows = inside.execute("SELECT sha256 FROM contents").fetchall()
            unused = [str(row[0]) for row in rows if row[0] not in needed]
            for batch in _batches(dict.fromkeys(unused, PART), BATCH * 16):
                inside.execute(
                    f"DELETE FROM contents WHERE sha256 = ANY(%s) AND received < now() - interval '{KEPT_FOR}'",  # noqa: S608 - a constant
                    (batch,),
                )

    def _manifest(self, inside: Connection, digest: str) -> Manifest:
        row = inside.execute("SELECT document FROM manifests WHERE digest = %s", (digest,)).fetchone()
        if row is None:
            raise CodeDamaged("The list of files of this version is gone. Deploy its code again.")
        try:
            manifest = Manifest.read(zlib.decompress(bytes(row[0])).decode())
        except (ValueError, zlib.error):
            manifest = None
        if manifest is None or manifest.digest != digest:
            raise CodeDamaged("The list of files of this version is damaged. Deploy its code again.")
        return manifest

    def _opened(self) -> AbstractContextManager[Connection | None]:
        return code_schema.opened(self._admin_url, self._release_name, self._deployment_id)

    @contextmanager
    def _there(self) -> Iterator[Connection]:
        with self._opened() as inside:
            if inside is None:
                raise DataPlaneError(NOT_THERE)
            yield inside


def _active(inside: Connection) -> str:
    """The active version that is there: it may have been taken away."""
    row = inside.execute("SELECT name FROM active JOIN versions USING (name)").fetchone()
    return str(row[0]) if row else ""


def _insert(inside: Connection, scratch: Path, batch: Sequence[str]) -> None:
    """Contents and their parts, in one transaction: there is never a part of something. Many rows in one statement:
    20,000 small files are a thing of seconds."""
    sizes = [(scratch / sha256).stat().st_size for sha256 in batch]
    with inside.transaction():
        inside.execute(
            "INSERT INTO contents (sha256, size, parts) "
            "SELECT * FROM unnest(%s::text[], %s::bigint[], %s::integer[]) ON CONFLICT DO NOTHING",
            (list(batch), sizes, [-(-size // PART) for size in sizes]),
        )
        for rows in _parts(scratch, batch):
            inside.execute(
                "INSERT INTO chunks (sha256, part, mark, data) "
                "SELECT * FROM unnest(%s::text[], %s::integer[], %b::bytea[], %b::bytea[]) ON CONFLICT DO NOTHING",
                tuple(list(column) for column in zip(*rows, strict=True)),
            )


def _parts(scratch: Path, batch: Sequence[str]) -> Iterator[list[tuple[str, int, bytes, bytes]]]:
    """The rows of these contents, about BATCH at a time."""
    rows: list[tuple[str, int, bytes, bytes]] = []
    held = 0
    for sha256 in batch:
        with (scratch / sha256).open("rb") as file:
            number = 0
            while part := file.read(PART):
                packed = zlib.compress(part, LEVEL)
                rows.append((sha256, number, hashlib.sha256(packed).digest(), packed))
                number, held = number + 1, held + len(part)
                if held >= BATCH:
                    yield rows
                    rows, held = [], 0
    if rows:
        yield rows


def _batches(sizes: Mapping[str, int], most: int) -> Iterator[list[str]]:
    """The keys, in lists whose sizes together are about `most`, and at most 2,000 long."""
    batch: list[str] = []
    held = 0
    for key, size in sizes.items():
        batch.append(key)
        held += size
        if held >= most or len(batch) >= 2000:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _unpacked(data: bytes) -> bytes:
    """A stored part; b"" for what is none. Bounded, whatever was stored."""
    try:
        return zlib.decompressobj().decompress(data, PART)
    except zlib.error:
        return b""


def _damaged(file: CodeFile) -> CodeDamaged:
    return CodeDamaged(f"The stored content of {file.path} is gone or damaged. Deploy the code again.")


@contextmanager
def _full_in_words() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.DiskFull as error:
        raise CodeFull(FULL) from error
