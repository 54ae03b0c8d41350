"""At which addresses the hosts may be that people of a Workspace name, of Git repositories and of webhooks: public
ones, and those that the operator lists for that purpose.

Any Editor or Admin names the address, so it must lead to nothing that listens for this network alone. Pure:
names are resolved by who connects, and what they resolve to is asked about here.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from deployments.domain.addresses import METADATA, Address, Network, inner, is_in, literal

_NAME = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?\.?")


@dataclass(frozen=True)
class Listed:
    """What the operator lists: host names, and addresses or networks."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str], *, setting: str = "The list") -> "Listed":
        """Read the setting. An entry that is no address and no network is a host name, with "*." for all below
        it. Raises ValueError with the sentence."""
        names, networks = set(), []
        for entry in filter(None, (each.strip().lower() for each in entries)):
            try:
                networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                if not _NAME.fullmatch(entry):
                    raise ValueError(
                        f"{setting} holds {entry[:100]!r}, which is not a host name, address or network: write "
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

    def has(self, host: str) -> bool:
        """Whether the host is listed, by name or as an address."""
        found = literal(host)
        return self.has_name(host) or (found is not None and is_in((found,), self.networks))


class PublicHosts:
    """The hosts that people may name for one purpose. `setting` is where the operator lists others, `rule` the half
    sentence that says why only public ones are taken."""

    def __init__(self, setting: str, rule: str) -> None:
        self._setting, self._rule = setting, rule
        self.listed = Listed()

    def allow(self, entries: Iterable[str]) -> None:
        """What the operator of this installation lists. Called once, at the start of a process. Raises ValueError with
        the sentence."""
        self.listed = Listed.of(entries, setting=self._setting)

    def refusal(self, host: str, address: str = "", *, by: Listed | None = None) -> str:
        """Why such a host may not be this one, or at the `address` that its name resolved to, as a sentence; "" when it
        may, or when it is a name that is still to be resolved."""
        may = by or self.listed
        name = host.strip("[]").rstrip(".").lower()
        found = literal(address or name)
        if found is None:
            is_local = name == "localhost" or name.endswith(".localhost")
            return self._sentence(name, "") if is_local and not may.has_name(name) else ""
        return "" if _may_be_at(name, found, may) else self._sentence(name, address)

    def _sentence(self, name: str, address: str) -> str:
        where = f"{name[:100]} is {address}, which" if address and address != name else name[:100]
        return (
            f"{where} is not a public address, and {self._rule}. If it is meant, ask a site administrator to list it "
            f"in {self._setting}."
        )


def _may_be_at(name: str, address: Address, by: Listed) -> bool:
    """Whether a host of this name may be at this address: a public one, or one that the operator lists."""
    meant = inner(address)
    if is_in((address, meant), by.networks):
        return True
    if by.has_name(name):  # whatever it resolves to, but where clouds keep secrets
        return not (meant.is_link_local or meant in METADATA)
    return meant.is_global and not meant.is_multicast


REPOSITORIES = PublicHosts("GIT_ADDRESSES", "Airdeck reads repositories only from public ones")
WEBHOOKS = PublicHosts("WEBHOOK_ADDRESSES", "alerts are sent only to public ones")
