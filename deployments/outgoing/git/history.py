"""Whether the history of a branch was rewritten since the commit that was deployed before: then the new one does not
descend from it. A help to people and nothing more, so whatever goes wrong here is "not known"."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread

from dulwich.objects import Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

from deployments.domain.git_address import GitAddress
from deployments.outgoing.git.clients import client_for
from deployments.outgoing.git.wish import HISTORY, HISTORY_BYTES, HISTORY_SECONDS, GitWish

COMMITS_ALONE = b"tree:0"  # servers that know no filter send trees and files too, up to HISTORY_BYTES


def is_rewritten(address: GitAddress, wish: GitWish, head: str, parents: Sequence[str]) -> bool:
    """Whether it is certain that `head`, with these parents, does not descend from `wish.after`. A second conversation,
    unless a parent says it."""
    if not wish.after or wish.after in {head, *parents}:
        return False
    if not parents:
        return True
    answer: list[bool] = []
    asking = Thread(target=lambda: answer.append(_asked(address, wish, head)), daemon=True)
    asking.start()
    asking.join(HISTORY_SECONDS)  # the files are here, and no deploy is to wait for this
    return any(answer)


def _asked(address: GitAddress, wish: GitWish, head: str) -> bool:
    ref = Ref(b"refs/heads/" + wish.branch.encode())

    def wants(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:
        return [ObjectID(head.encode())] if refs.get(ref, b"").decode() == head else []

    folder = Path(wish.repository) / "history"
    folder.mkdir()
    try:
        client = client_for(address, replace(wish, most_bytes=HISTORY_BYTES))
        with Repo.init_bare(folder) as repository, closing(client):
            client.fetch(
                client.location,
                repository,
                determine_wants=wants,
                depth=HISTORY,
                ref_prefix=[ref],
                filter_spec=COMMITS_ALONE,
            )
            return _is_missing(repository, head, wish.after)
    except Exception:  # a stranger's bytes, a limit, a server that hangs up: the deploy goes on
        return False


def _is_missing(repository: Repo, head: str, sought: str) -> bool:
    """Whether the whole history is here and the commit is not in it."""
    todo, seen = [head.encode()], set()
    while todo:
        sha = ObjectID(todo.pop())
        if sha.decode() == sought:
            return False
        if sha in seen:
            continue
        seen.add(sha)
        if sha not in repository.object_store:
            return False  # older than what was fetched
        commit = repository.object_store[sha]
        if isinstance(commit, Commit):
            todo += commit.parents
    return True
