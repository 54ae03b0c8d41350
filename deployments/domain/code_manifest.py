"""What a version of the code is: its files by path, content and size; and how two versions differ. Pure."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, order=True)
class CodeFile:
    """One file: its path below the root, the SHA-256 of its content in hex, its bytes, and whether it may be run."""

    path: str
    sha256: str
    size: int
    executable: bool = False

    @property
    def is_python(self) -> bool:
        """Whether it is compiled and may hold DAGs."""
        return self.path.endswith(".py")


@dataclass(frozen=True)
class Manifest:
    """All files, sorted by path. Equal content has an equal digest, however it was packed."""

    files: tuple[CodeFile, ...]

    @classmethod
    def of(cls, files: Iterable[CodeFile]) -> "Manifest":
        """The manifest of these files in any order."""
        return cls(tuple(sorted(files)))

    @cached_property
    def document(self) -> str:
        """As it is stored: JSON, one list per file."""
        rows = [[file.path, file.sha256, file.size, int(file.executable)] for file in self.files]
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def read(cls, document: str) -> "Manifest":
        """What `document` was written from. Raises ValueError for anything else."""
        try:
            rows = json.loads(document)
            return cls(tuple(CodeFile(str(p), str(s), int(n), bool(x)) for p, s, n, x in rows))
        except (TypeError, ValueError) as error:
            raise ValueError("This is not a manifest.") from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the document, in hex."""
        return hashlib.sha256(self.document.encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def python_files(self) -> int:
        """How many files may hold DAGs."""
        return sum(file.is_python for file in self.files)

    @property
    def only_folder(self) -> str:
        """The one folder in which everything is; "" when there is none, or more than one."""
        tops = {file.path.partition("/")[0] if "/" in file.path else "" for file in self.files}
        return next(iter(tops)) if len(tops) == 1 else ""


EMPTY = Manifest(())


@dataclass(frozen=True)
class CodeDifference:
    """Paths that are added, changed and removed on the way from one manifest to another, each sorted."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many files differ."""
        return len(self.added) + len(self.changed) + len(self.removed)

    @property
    def sentence(self) -> str:
        """ "2 files added, 1 changed, 3 removed." or "Nothing differs."."""
        counts = [(len(self.added), "added"), (len(self.changed), "changed"), (len(self.removed), "removed")]
        words = [(count, word) for count, word in counts if count]
        if not words:
            return "Nothing differs."
        (count, word), *others = words
        head = f"{count:,} file{'' if count == 1 else 's'} {word}"
        return ", ".join([head, *(f"{count:,} {word}" for count, word in others)]) + "."


def difference(old: Manifest, new: Manifest) -> CodeDifference:
    """What `new` does to `old`. A file whose right to be run changed is a changed one."""
    before = {file.path: file for file in old.files}
    after = {file.path: file for file in new.files}
    return CodeDifference(
        added=tuple(path for path in after if path not in before),
        changed=tuple(path for path, file in after.items() if path in before and before[path] != file),
        removed=tuple(path for path in before if path not in after),
    )


def version_name(number: int, digest: str) -> str:
    """The name of a version in Airflow and on disk: its deploy's number and the first 12 hex digits of its manifest. At
    most 200 characters, as `dag_bundle.version` takes."""
    return f"{number}-{digest[:12]}"


@dataclass(frozen=True)
class CodeVersion:
    """A version that is to run: its name, and the digest of its manifest. `plugins` is the digest of the Airflow
    plugins in it (`code_project.plugins_digest`), "" for none."""

    name: str
    manifest: str
    plugins: str = ""
