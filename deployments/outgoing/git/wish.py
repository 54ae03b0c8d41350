"""What the child process is asked, and what it answers: plain values that travel as JSON."""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from deployments.domain.code_errors import MIB

FETCHED_BYTES = 200 * MIB  # of one commit, as the server sends it
SILENCE_SECONDS = 15.0  # how long a server may say nothing
REFS_SECONDS = 30.0  # until it has answered where the branch stands
# How many commits are looked through for the one that was deployed before, and what that may cost.
HISTORY, HISTORY_BYTES, HISTORY_SECONDS = 500, 20 * MIB, 15.0
TOTAL_SECONDS = 120.0  # until all files are here
MEMORY_BYTES = (
    1024 * MIB
)  # of address space; one file of 100 MiB is held whole, beside Python and the libraries


class RefusalKind(StrEnum):
    """What kind of answer a refusal is."""

    PASSING = "passing"  # the server, the network, the credentials: trying again may help
    LASTING = "lasting"  # this commit cannot be taken: only another one helps
    HOST_KEY = "host key"  # the server showed a key that is not confirmed


@dataclass(frozen=True)
class GitWish:
    """What is read, and with what. `known` is the commit that needs no fetching again; with `look_only` none is
    fetched. `repository` and `scratch` are empty folders: for what the server sends, and for the contents of its
    files. `after` is the commit that was deployed before, "" for none: whether the new one descends from it is found
    out."""

    address: str
    branch: str
    subfolder: str
    known: str
    look_only: bool
    repository: str
    scratch: str
    listed: list[str]  # of `public_hosts.Listed`
    token_user: str = ""
    token: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    host_key: str = ""  # the one that was confirmed, "ssh-ed25519 AAAA…"; "" when none was
    most_bytes: int = FETCHED_BYTES
    after: str = ""

    @property
    def line(self) -> bytes:
        """The line that the child process is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> "GitWish":
        """What `line` was made of."""
        return cls(**json.loads(line))


class GitRefused(Exception):
    """The repository was not read. `str()` is one sentence that says why and what to do. `host_key` is what the server
    showed, of RefusalKind.HOST_KEY."""

    def __init__(self, sentence: str, kind: RefusalKind = RefusalKind.PASSING, host_key: str = "") -> None:
        super().__init__(sentence)
        self.kind, self.host_key = kind, host_key

    @property
    def fields(self) -> dict[str, Any]:
        """What the child process answers of it."""
        return {"refused": str(self), "kind": self.kind.value, "host_key": self.host_key}


@dataclass(frozen=True)
class Commit:
    """Who made a commit and what its first line says."""

    sha: str
    author: str
    subject: str
