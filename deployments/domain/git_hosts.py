"""At which addresses a Git repository may be: public ones, and those that the operator lists.

Any Editor names the address, so it must lead to nothing that listens for this network alone. Pure:
names are resolved by who connects, and what they resolve to is asked about here.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from deployments.domain.addresses import METADATA, Address, Network, inner, is_in, literal

SETTING = "GIT_ADDRESSES"
_NAME = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?\.?")


@dataclass(frozen=True)
class Listed:
    """What the operator lists: host names, and addresses or networks."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str], *, setting: str = SETTING) -> "Listed":
        """Read the setting. An entry that is no address and no network is a host name, with "*." for all below
        it. Raises ValueError with the sentence."""
        names, networks = set(), []
        for entry in filter(None, (each.strip().lower() for each in entries)):
            try:
                networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                if not _NAME.fullmatch(entry):
                    raise ValueError(
                        f"{setting} holds {entry[:100]!r}, which is no host name, no address and no network: write "
                        "git.example.internal, *.corp.example or 10.1.0.0/16, by comma."
                    ) from None
                names.add(entry.rstrip("."))
        return cls(frozenset(names), tuple(networks))

    @property
    def entries(self) -> list[str]:
        """What `of` reads back."""
        return [*sorted(self.names), *map(str, self.networks)]

    def has_name(self, host: str) -> bool:
        """Whether the host, or all below one of its parents, is listed by name."""
        labels = host.rstrip(".").lower().split(".")
        parents = {"*." + ".".join(labels[at:]) for at in range(1, len(labels))}
        return bool(self.names & {".".join(labels), *parents})


_listed = Listed()


def allow(listed: Listed) -> None:
    """What the operator of this installation lists. Called once, at the start of a process."""
    global _listed  # noqa: PLW0603 - the domain knows no settings
    _listed = listed


def listed() -> Listed:
    """What the operator lists."""
    return _listed


def refusal(host: str, address: str = "", *, by: Listed | None = None) -> str:
    """Why a repository may not be at this host, or at the `address` that the host's name resolved to, as a sentence; ""
    when it may, or when it is a name that is still to be resolved."""
    may = by or _listed
    name = host.strip("[]").rstrip(".").lower()
    found = literal(address or name)
    if found is None:
        is_local = name == "localhost" or name.endswith(".localhost")
        return _sentence(name, "") if is_local and not may.has_name(name) else ""
    return "" if may_be_at(name, found, may) else _sentence(name, address)


def may_be_at(name: str, address: Address, by: Listed) -> bool:
    """Whether a host of this name may be at this address: a public one, or one that the operator lists."""
    meant = inner(address)
    if is_in((address, meant), by.networks):
        return True
    if by.has_name(name):  # whatever it resolves to, but where clouds keep secrets
        return not (meant.is_link_local or meant in METADATA)
    return meant.is_global and not meant.is_multicast


def _sentence(name: str, address: str) -> str:
    where = f"{name[:100]} is {address}, which" if address and address != name else f"{name[:100]}"
    return (
        f"{where} is not a public address, and Airdeck reads repositories only from public ones. If it is meant, ask a "
        f"site administrator to list it in {SETTING}."
    )
