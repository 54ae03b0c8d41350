"""The file: a tar, compressed by gzip, that names the SHA-256 of everything in it.

    airdeck.json                 first: format, version, migrations, fingerprints of keys, when it was made
    console/TABLE/000001         rows as Postgres's COPY writes them, in pieces that belong together in this order
    code/RELEASE/SHA256          contents of deployed code
    machine/RELEASE/database     a Deployment's database on this machine, as pg_dump writes it
    machine/RELEASE/files        its DAGs and plugins folders, a tar
    contents.json                last: columns, row counts, sequences, and the SHA-256 of each of the above

Any tool reads it. Without its last member it was cut short, and is refused.
"""

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

FORMAT = 1
READ_BYTES = 1024 * 1024
HEAD, CONTENTS = "airdeck.json", "contents.json"


class BackupRefused(Exception):
    """A backup that cannot be made or restored. `str()` is one sentence that says what to do."""


class Writer:
    """Writes one. `about` is what `read_head` gives back."""

    def __init__(self, out: IO[bytes], about: dict[str, Any]) -> None:
        self._tar = tarfile.open(fileobj=out, mode="w|gz")  # noqa: SIM115 - `close` closes it
        self._sums: dict[str, str] = {}
        self.contents: dict[str, Any] = {}
        self._put(HEAD, json.dumps({"format": FORMAT, **about}, indent=1).encode())

    def add(self, name: str, content: bytes) -> None:
        """One member, whole."""
        self._put(name, content)
        self._sums[name] = hashlib.sha256(content).hexdigest()

    def add_file(self, name: str, file: Path) -> None:
        """One member from a file, which may be large."""
        with file.open("rb") as stream:
            self._sums[name] = _sum(stream)
            stream.seek(0)
            member = tarfile.TarInfo(name)
            member.size, member.mode = file.stat().st_size, 0o600
            self._tar.addfile(member, stream)

    def close(self) -> None:
        """The end, without which the file is none."""
        self._put(CONTENTS, json.dumps({**self.contents, "sha256": self._sums}, indent=1).encode())
        self._tar.close()

    def abandon(self) -> None:
        """After an error: the file is none, and will be removed."""
        with suppress(Exception):
            self._tar.close()

    def _put(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o600
        self._tar.addfile(member, io.BytesIO(content))


class Reader:
    """Reads one from a file. Raises BackupRefused for what is none, is damaged, or was cut short."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._in_words():
            self.about = self._head()
            self.contents = self._proven()

    def _head(self) -> dict[str, Any]:
        for name, stream in self.members():
            if name != HEAD:
                break
            about: dict[str, Any] = json.loads(stream.read())
            if about.get("format") != FORMAT:
                raise BackupRefused(
                    f"{self._file} has format {about.get('format')}; this version reads {FORMAT}."
                )
            return about
        raise BackupRefused(f"{self._file} is not a backup of Airdeck.")

    def _proven(self) -> dict[str, Any]:
        """What the last member says, after everything was compared with it."""
        sums: dict[str, str] = {}
        contents: dict[str, Any] | None = None
        for name, stream in self.members():
            if name == CONTENTS:
                contents = json.loads(stream.read())
            elif name != HEAD:
                sums[name] = _sum(stream)
        if contents is None:
            raise BackupRefused(f"{self._file} was cut short. Take another backup.")
        self.names = frozenset(sums)
        if contents.pop("sha256") != sums:
            raise BackupRefused(
                f"{self._file} is damaged: its contents are not what was written. Take another one."
            )
        return contents

    def contents_of(self, kind: str) -> set[str]:
        """The names of the members below `kind`."""
        return {name for name in self.names if name.startswith(f"{kind}/")}

    def members(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Each member with its content, in order. A content is read before the next one is asked for."""
        with tarfile.open(self._file, mode="r|gz") as tar:
            for member in tar:
                stream = tar.extractfile(member)
                if stream is not None:
                    yield member.name, stream

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise BackupRefused(f"There is no file {self._file}.") from None
        except (
            tarfile.TarError,
            EOFError,
            zlib.error,
            OSError,
            ValueError,
            KeyError,
            AttributeError,
        ) as error:
            raise BackupRefused(
                f"{self._file} cannot be read ({type(error).__name__}): it is damaged."
            ) from None


def _sum(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := stream.read(READ_BYTES):
        digest.update(block)
    return digest.hexdigest()
