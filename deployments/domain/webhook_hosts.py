"""Where webhooks may lead: to public addresses over https, and to what the operator lists. Pure.

Any Admin names the address, so it must lead to nothing that listens for this network alone.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from deployments.domain.addresses import literal
from deployments.domain.alert_rules import URL_LENGTH
from deployments.domain.git_hosts import Listed, may_be_at

SETTING = "WEBHOOK_ADDRESSES"

_listed = Listed()


def allow(listed: Listed) -> None:
    """What the operator of this installation lists. Called once, at the start of a process."""
    global _listed  # noqa: PLW0603 - the domain knows no settings
    _listed = listed


def listed() -> Listed:
    """What the operator lists."""
    return _listed


@dataclass(frozen=True)
class Target:
    """The parts of a webhook's URL."""

    scheme: str
    host: str
    port: int
    path: str  # with its query

    @property
    def shown(self) -> str:
        """What pages may show of it: where it leads, and nothing that opens it."""
        usual = {"https": 443, "http": 80}[self.scheme]
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port == usual else f':{self.port}'}/…"


def read(url: str) -> Target:
    """The parts of a URL. Raises ValueError with the sentence that says why alerts are not sent there."""
    wrong = "Enter a whole address, for instance https://hooks.example.com/airdeck."
    if len(url) > URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(wrong)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(wrong) from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError(wrong)
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("Enter an address without user name, password and #fragment.")
    host = parts.hostname
    if why := refusal(host):
        raise ValueError(why)
    if parts.scheme == "http" and not _is_listed(host):
        raise ValueError("Enter an address that begins with https://: alerts are not sent in the clear.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)


def refusal(host: str, address: str = "", *, by: Listed | None = None) -> str:
    """Why a webhook may not lead to this host, or to the `address` that its name resolved to, as a sentence; "" when it
    may, or when it is a name that is still to be resolved."""
    may = by or _listed
    name = host.strip("[]").rstrip(".").lower()
    found = literal(address or name)
    if found is None:
        is_local = name == "localhost" or name.endswith(".localhost")
        return _sentence(name, "") if is_local and not may.has_name(name) else ""
    return "" if may_be_at(name, found, may) else _sentence(name, address)


def _is_listed(host: str) -> bool:
    found = literal(host)
    in_networks = found is not None and any(
        found in network for network in _listed.networks if network.version == found.version
    )
    return in_networks or _listed.has_name(host)


def _sentence(name: str, address: str) -> str:
    where = f"{name[:100]} is {address}, which" if address and address != name else name[:100]
    return (
        f"{where} is not a public address, and alerts are sent only to public ones. If it is meant, ask a site "
        f"administrator to list it in {SETTING}."
    )
