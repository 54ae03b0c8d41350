"""The files of a commit as entries that `code_archive.take` judges: as an archive's, and what only Git
has is refused by name."""

import stat
from collections.abc import Iterable, Iterator

from dulwich.object_store import BaseObjectStore
from dulwich.objects import Blob, ObjectID, Tree

from deployments.domain import code_ignore
from deployments.domain.code_errors import CodeRefused, shown
from deployments.domain.code_ignore import IGNORE_FILE, Ignore
from deployments.domain.code_limits import ArchiveEntry, Budget, EntryKind

SUBMODULE = 0o160000
LFS_BYTES = 1024  # a pointer has about 130 (git-lfs, docs/spec.md: below 1,024)
LFS_MARK = b"version https://git-lfs.github.com/spec/"


class GitFiles:
    """What is below `subfolder` in a tree. `left_out` counts, once all were read, what is no code."""

    def __init__(self, store: BaseObjectStore, root: ObjectID, subfolder: str, budget: Budget) -> None:
        self._store, self._budget = store, budget
        self._top = self._folder(root, subfolder)
        self._ignore = self._read_ignore()
        self.left_out = 0

    def entries(self) -> Iterator[tuple[ArchiveEntry, Iterable[bytes]]]:
        """Every file that is code. Raises CodeRefused for what cannot be taken."""
        waiting: list[tuple[str, Tree]] = [("", self._top)]
        while waiting:
            folder, tree = waiting.pop()
            for item in tree.iteritems():
                self._budget.tick()
                name = item.path.decode("utf-8", "surrogateescape")
                path = f"{folder}{name}"
                is_folder = stat.S_ISDIR(item.mode)
                if self._leaves_out(path, is_folder=is_folder or item.mode == SUBMODULE):
                    self.left_out += not is_folder
                elif is_folder:
                    yield ArchiveEntry(path, EntryKind.FOLDER, 0), ()
                    waiting.append((f"{path}/", self._tree(item.sha)))
                else:
                    yield self._file(path, item.mode, item.sha)

    def _leaves_out(self, path: str, *, is_folder: bool) -> bool:
        return self._ignore.leaves_out_folder(path) if is_folder else self._ignore.leaves_out(path)

    def _file(self, path: str, mode: int, sha: ObjectID) -> tuple[ArchiveEntry, Iterable[bytes]]:
        if mode == SUBMODULE:
            raise CodeRefused(
                f"{shown(path)} is a submodule, and those are not fetched. Put its files into the repository, or leave "
                f"it out with a line in {IGNORE_FILE}."
            )
        if stat.S_ISLNK(mode):
            raise CodeRefused(
                f"{shown(path)} is a link. Only files and folders are taken: put the file itself in its place, or "
                f"leave it out with a line in {IGNORE_FILE}."
            )
        data = self._blob(sha, path)
        if len(data) < LFS_BYTES and data.startswith(LFS_MARK):
            raise CodeRefused(
                f"{shown(path)} is a pointer of Git LFS, and what it points to is not fetched. Put the file itself "
                f"into the repository, or leave it out with a line in {IGNORE_FILE}."
            )
        return ArchiveEntry(path, EntryKind.FILE, len(data), bool(mode & 0o111)), (data,)

    def _folder(self, root: ObjectID, subfolder: str) -> Tree:
        tree = self._tree(root)
        for part in filter(None, subfolder.split("/")):
            try:
                mode, sha = tree[part.encode()]
            except KeyError:
                mode, sha = 0, root
            if not stat.S_ISDIR(mode):
                raise CodeRefused(
                    f"The repository has no folder {shown(subfolder)} at this commit. Change the subfolder, or add it."
                )
            tree = self._tree(sha)
        return tree

    def _read_ignore(self) -> Ignore:
        """The defaults and what the folder itself says; read first, so that what it leaves out may be anything."""
        try:
            mode, sha = self._top[IGNORE_FILE.encode()]
        except KeyError:
            return code_ignore.DEFAULTS
        if not stat.S_ISREG(mode):
            return code_ignore.DEFAULTS  # refused as an entry
        try:
            return code_ignore.with_own(self._blob(sha, IGNORE_FILE).decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise CodeRefused(f"{IGNORE_FILE} is not UTF-8 text. Save it as UTF-8.") from None

    def _tree(self, sha: ObjectID) -> Tree:
        found = self._object(sha)
        if not isinstance(found, Tree):
            raise CodeRefused("The repository is damaged: a folder of this commit is missing.")
        return found

    def _blob(self, sha: ObjectID, path: str) -> bytes:
        found = self._object(sha)
        if not isinstance(found, Blob):
            raise CodeRefused(f"The repository is damaged: {shown(path)} is missing.")
        self._budget.size(path, found.raw_length())
        return found.as_raw_string()

    def _object(self, sha: ObjectID) -> object:
        try:
            return self._store[sha]
        except KeyError:
            return None
