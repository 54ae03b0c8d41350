"""At which addresses a cluster may not be: those of this machine, of its links, and those that give away secrets of a
cloud.

An operator names a cluster's address, or a name that another person resolves. Were it one of these, Airdeck would carry
its credentials to a service that listens for this machine alone. Pure: names are resolved by who connects.
"""

import ipaddress
import socket
from collections.abc import Iterable

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What clouds answer at beside 169.254.169.254, which is link-local: AWS over IPv6, Alibaba, Oracle.
METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_listed: tuple[Network, ...] = ()


def networks(entries: Iterable[str]) -> tuple[Network, ...]:
    """CLUSTER_ADDRESSES as networks; a single address is one. Raises ValueError with the sentence."""
    found = []
    for entry in filter(None, (each.strip() for each in entries)):
        try:
            found.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            raise ValueError(
                f"CLUSTER_ADDRESSES holds {entry[:100]!r}, which is neither an address nor a network: write "
                "127.0.0.1 or 169.254.0.0/16, by comma."
            ) from None
    return tuple(found)


def allow(listed: tuple[Network, ...]) -> None:
    """What the operator of this installation lists. Called once, at the start of a process."""
    global _listed  # noqa: PLW0603 - drivers know no settings
    _listed = listed


def refusal(host: str) -> str:
    """Why a cluster may not be at this host, as a sentence; "" when it may, or when it is a name that is still to be
    resolved. An empty host, or a path, is a socket of this machine."""
    if not host or host.startswith(("/", "@")):
        return _sentence("a socket of this machine") if not _may(ipaddress.ip_address("127.0.0.1")) else ""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return _sentence(host[:100]) if not _may(ipaddress.ip_address("127.0.0.1")) else ""
    address = literal(name)
    return _sentence(host[:100]) if address is not None and not _may(address) else ""


def _sentence(where: str) -> str:
    return (
        f"A cluster may not be at {where}: that is this machine, its own link, or a cloud's store of secrets. If it is "
        "meant, list the address in CLUSTER_ADDRESSES."
    )


def literal(text: str) -> Address | None:
    """The address that a host names, also in the old spellings that resolvers take: 127.1, 0x7f000001, 2130706433."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except (OSError, UnicodeError):
        return None


def _may(address: Address) -> bool:
    meant = inner(address)
    if is_in((address, meant), _listed):
        return True
    return not (
        meant.is_loopback
        or meant.is_link_local
        or meant.is_unspecified
        or meant.is_multicast
        or meant in METADATA
    )


def is_in(addresses: Iterable[Address], networks: Iterable[Network]) -> bool:
    """Whether one of the addresses is in one of the networks."""
    every = tuple(networks)
    return any(each in network for each in addresses for network in every if each.version == network.version)


def inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
