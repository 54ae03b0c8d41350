"""Reads one Git repository once, as a program of its own (`ask`): it gets a wish on standard input, keeps what it
fetched in two folders, and answers in lines of JSON on standard output. It ends when standard input does, so the
parent may be killed."""

import contextlib
import errno
import json
import os
import resource
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dulwich.errors import HangupException
from dulwich.objects import Commit as GitCommit
from dulwich.objects import ObjectID, Tag
from dulwich.refs import Ref
from dulwich.repo import Repo

from deployments.domain import git_address
from deployments.domain.code_archive import take
from deployments.domain.code_errors import MIB, CodeRefused
from deployments.domain.code_limits import LIMITS, Budget, Limits
from deployments.domain.git_address import GitAddress
from deployments.outgoing.git import history
from deployments.outgoing.git.clients import client_for
from deployments.outgoing.git.tree import GitFiles
from deployments.outgoing.git.wish import (
    MEMORY_BYTES,
    TOTAL_SECONDS,
    Commit,
    GitRefused,
    GitWish,
    RefusalKind,
)

if TYPE_CHECKING:
    from deployments.outgoing.git.clients import Client

FACT_LENGTH = 300  # of an author, of a subject
# Packed is counted as it comes, and Git packs well: the ratio says nothing here.
GIT_LIMITS = Limits(
    packed=LIMITS.unpacked,
    what="folder of the repository",
    empty="Say in which subfolder the DAGs are.",
)


def read(wish: GitWish, say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Do what is wished. `say` gets the head of the branch as soon as it is known. Raises GitRefused."""
    address = git_address.parse(wish.address)
    client = client_for(address, wish)
    ref = b"refs/heads/" + wish.branch.encode()
    head = b""

    def wants(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:
        nonlocal head
        head = refs.get(Ref(ref), b"")
        say({"head": head.decode()})
        return [] if not head or wish.look_only or head.decode() == wish.known else [ObjectID(head)]

    with Repo.init_bare(wish.repository) as repository, closing(client):
        try:
            client.fetch(client.location, repository, determine_wants=wants, depth=1, ref_prefix=[ref])
        except (GitRefused, MemoryError, OSError):
            raise
        except (
            Exception
        ) as error:  # a stranger's bytes: dulwich has no one kind of error for what makes no sense
            raise _protocol_broke(address, client, error, fetching=bool(head)) from None
        if not head:
            raise GitRefused(
                f"The repository has no branch {wish.branch}. Enter one that it has; it may have been "
                "renamed or deleted."
            )
        if wish.look_only or head.decode() == wish.known:
            return {}
        found = _taken(repository, ObjectID(head), wish)
        parents = [each.decode() for each in found.pop("parents")]
    return {**found, "rewritten": history.is_rewritten(address, wish, head.decode(), parents)}


def _protocol_broke(address: GitAddress, client: "Client", error: Exception, *, fetching: bool) -> GitRefused:
    """What a broken conversation means: over SSH most often that there is no such repository."""
    if fetching:
        return GitRefused(
            f"{address.shown_host} did not hand out the commit that it named. The branch was rewritten at that "
            "moment, or the server has a fault. It is tried again later."
        )
    words = client.explanation()
    quote = f" The server says: “{words[:300]}”" if words else ""
    if isinstance(error, HangupException):
        return GitRefused(
            f"{address.shown_host} has no repository {address.path}, or the key may not read it.{quote}"
        )
    return GitRefused(f"What {address.shown_host} answers at this address is not Git.{quote}")


def _taken(repository: Repo, head: ObjectID, wish: GitWish) -> dict[str, Any]:
    commit = repository.object_store[head]
    while isinstance(commit, Tag):
        commit = repository.object_store[commit.object[1]]
    if not isinstance(commit, GitCommit):
        raise GitRefused("The branch names no commit. Check the repository.", RefusalKind.LASTING)
    budget = Budget(GIT_LIMITS.packed, GIT_LIMITS)
    files = GitFiles(repository.object_store, commit.tree, wish.subfolder, budget)
    unpacked = take(files.entries(), Path(wish.scratch), budget)
    made = Commit(head.decode(), _text(commit.author), _text(commit.message.partition(b"\n")[0]))
    return {
        "commit": [made.sha, made.author, made.subject],
        "parents": commit.parents,
        "manifest": unpacked.manifest.document,
        "left_out": unpacked.left_out + files.left_out,
    }


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()[:FACT_LENGTH]


def main() -> None:
    """Read one wish from standard input, write one answer to standard output, end."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (int(TOTAL_SECONDS), int(TOTAL_SECONDS)))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wish = GitWish.read(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        answer = read(wish, _say)
    except GitRefused as error:
        answer = error.fields
    except CodeRefused as error:
        answer = GitRefused(str(error), RefusalKind.LASTING).fields
    except MemoryError:
        answer = GitRefused(
            f"Reading the newest commit takes more than {MEMORY_BYTES // MIB:,} MiB of memory. Keep large files out "
            "of the repository.",
            RefusalKind.LASTING,
        ).fields
    except Exception as error:  # as above, of objects that a commit is made of
        answer = _failed(error).fields
    _say({"done": True, **answer})
    sys.stdout.flush()
    os._exit(0)  # whatever a library's thread still waits for


def _failed(error: Exception) -> GitRefused:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}:
        return GitRefused(
            f"What was fetched could not be stored: {error.strerror}. Ask a site administrator."
        )
    return GitRefused(
        "What the server sent is damaged, or no Git that is known here. It is tried again later."
    )


def _say(fields: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _end_with_the_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
