"""Where webhooks may lead: to public addresses over https, and to what the operator lists. Pure.

Any Admin names the address, so it must lead to nothing that listens for this network alone.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from deployments.domain.alert_rules import URL_LENGTH
from deployments.domain.public_hosts import WEBHOOKS


@dataclass(frozen=True)
class WebhookTarget:
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


def read(url: str) -> WebhookTarget:
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
    if why := WEBHOOKS.refusal(host):
        raise ValueError(why)
    if parts.scheme == "http" and not WEBHOOKS.listed.has(host):
        raise ValueError("Enter an address that begins with https://: alerts are not sent in the clear.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebhookTarget(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)
