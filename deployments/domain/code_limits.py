"""What an archive may have and what an entry is; the readers (`code_zip`, `code_tar`) count against it. Pure."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from deployments.domain.code_errors import MIB, CodeRefused, shown
from deployments.domain.code_ignore import IGNORE_FILE

CHUNK = 64 * 1024
LEAVE_OUT = "Leave out what is not code."
RATIO_FROM = 10 * MIB  # below this much a high ratio is a file of zeros, and no harm


@dataclass(frozen=True)
class Limits:
    """What an archive may have. The figures are those of domain.md, part 1, point 20."""

    packed: int = 100 * MIB  # bytes of the archive
    unpacked: int = 500 * MIB  # bytes of everything in it
    entries: int = 20_000  # files and folders
    file: int = 100 * MIB  # bytes of one file
    ratio: int = 100  # unpacked : packed
    seconds: float = 120.0  # to take it apart
    what: str = "archive"  # what it is called in sentences
    empty: str = "Pack the content of your DAGs folder."  # what to do when no code is in it


LIMITS = Limits()


def too_large(limits: Limits) -> str:
    """Packed, it has too many bytes."""
    return (
        f"The {limits.what} has more than {limits.packed // MIB} MiB. Leave out what is not code, for instance with a "
        f"{IGNORE_FILE}."
    )


def too_many(limits: Limits) -> str:
    """It has too many entries."""
    return f"The {limits.what} holds more than {limits.entries:,} files and folders. {LEAVE_OUT}"


def nothing_in(limits: Limits) -> str:
    """No code is in it."""
    return f"The {limits.what} holds no file of code. {limits.empty}"


class EntryKind(StrEnum):
    """What an entry is. Only files and folders are taken."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "a link"
    DEVICE = "a device, a pipe or a socket"
    SPARSE = "a sparse file"
    STRANGE = "of a kind that is not known here"


@dataclass(frozen=True)
class ArchiveEntry:
    """One entry as it stands in the archive: its raw name, what it is, the bytes it claims to have."""

    name: str
    kind: EntryKind
    size: int
    executable: bool = False


class Budget:
    """Counts what was taken so far. Every reader asks it before it goes on; each question may raise CodeRefused."""

    def __init__(self, packed: int, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._packed, self._clock = limits, packed, clock
        self._deadline = clock() + limits.seconds
        self._entries = self._unpacked = 0
        if packed > limits.packed:
            raise CodeRefused(too_large(limits))

    @property
    def nothing(self) -> str:
        """The sentence when there is no code in it."""
        return nothing_in(self._limits)

    def tick(self) -> None:
        """Raises CodeRefused once the time for unpacking is used up."""
        if self._clock() > self._deadline:
            raise CodeRefused(
                f"Taking the {self._limits.what} apart took longer than {self._limits.seconds:.0f} s. {LEAVE_OUT}"
            )

    def entry(self, entry: ArchiveEntry) -> None:
        """One entry more, whatever it is."""
        self.tick()
        self._entries += 1
        if self._entries > self._limits.entries:
            raise CodeRefused(too_many(self._limits))
        self.size(entry.name, entry.size)

    def size(self, name: str, size: int) -> None:
        """So many bytes of one file, claimed or read."""
        if size > self._limits.file:
            raise CodeRefused(
                f"{shown(name)} has more than {self._limits.file // MIB} MiB. Keep data out of the code."
            )

    def more(self, count: int) -> None:
        """So many bytes more were unpacked."""
        self.tick()
        self._unpacked += count
        if self._unpacked > self._limits.unpacked:
            raise CodeRefused(
                f"Unpacked, the {self._limits.what} has more than {self._limits.unpacked // MIB} MiB. {LEAVE_OUT}"
            )
        if self._unpacked > max(RATIO_FROM, self._limits.ratio * self._packed):
            raise CodeRefused(
                f"Unpacked, the {self._limits.what} is more than {self._limits.ratio} times as large as packed, which "
                "no code is. Pack again without the files that hold mostly the same byte."
            )


type Reader = Iterator[tuple[ArchiveEntry, Iterable[bytes]]]
