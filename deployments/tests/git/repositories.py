"""Repositories that tests serve: made with dulwich, in a temporary folder."""

import stat
import time
from pathlib import Path

from dulwich.objects import Blob, Commit, Tree
from dulwich.repo import Repo

SUBMODULE, LINK, PROGRAM, PLAIN = 0o160000, 0o120000, 0o100755, 0o100644


class Repository:
    """A bare repository. `files` of a commit are paths with their content, or a mode and the content."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        folder.mkdir(parents=True)
        self._repo = Repo.init_bare(str(folder))

    def commit(
        self,
        files: dict[str, bytes | tuple[int, bytes]],
        *,
        branch: str = "main",
        subject: str = "A change",
        author: str = "Ada <ada@example.org>",
    ) -> str:
        """Make a commit of exactly these files the head of the branch; its SHA."""
        store, ref = self._repo.object_store, b"refs/heads/" + branch.encode()
        commit = Commit()
        commit.tree = self._tree({name.encode(): each for name, each in files.items()})
        commit.parents = [self._repo.refs[ref]] if ref in self._repo.refs else []
        commit.author = commit.committer = author.encode()
        commit.author_time = commit.commit_time = int(time.time())
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = f"{subject}\n\nAnd why.\n".encode()
        store.add_object(commit)
        self._repo.refs[ref] = commit.id
        return commit.id.decode()

    def move(self, branch: str, sha: str) -> None:
        """Rewrite the branch: it now stands at that commit."""
        self._repo.refs[b"refs/heads/" + branch.encode()] = sha.encode()

    def _tree(self, files: dict[bytes, bytes | tuple[int, bytes]]) -> bytes:
        tree, folders = Tree(), {}
        for path, each in files.items():
            mode, content = each if isinstance(each, tuple) else (PLAIN, each)
            top, slash, rest = path.partition(b"/")
            if slash:
                folders.setdefault(top, {})[rest] = each
            elif mode == SUBMODULE:
                tree.add(top, mode, content)
            else:
                blob = Blob.from_string(content)
                self._repo.object_store.add_object(blob)
                tree.add(top, mode, blob.id)
        for name, inside in folders.items():
            tree.add(name, stat.S_IFDIR, self._tree(inside))
        self._repo.object_store.add_object(tree)
        return tree.id
