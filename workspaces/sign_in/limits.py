"""How often a wrong password may be tried. django-allauth counts; here is what is counted together.

By network address, so that one address cannot try many accounts; by account and where the tries come from, so that a
stranger who tries a person's account locks out himself; and by account alone, at a height that guessing from many
addresses meets and forgetting does not. A browser in which the account has signed in before is counted by itself. The
numbers are ACCOUNT_RATE_LIMITS in the settings.
"""

from dataclasses import dataclass

from allauth.account.adapter import get_adapter
from allauth.core.internal import ratelimit
from django.http import HttpRequest

from workspaces.email_addresses import normalize_email
from workspaces.sign_in import known_browsers


@dataclass(frozen=True)
class Tries:
    """What one try counted, so that the right password counts nothing."""

    usages: tuple[ratelimit.RateLimitUsage, ...]

    def rollback(self) -> None:
        """Take this attempt off every count again."""
        for usage in self.usages:
            usage.rollback()


def _keys(request: HttpRequest, email: str) -> dict[str, str]:
    """Action -> what is counted together under it."""
    account = normalize_email(email)
    if browser := known_browsers.name_for(request, account):
        return {"login_failed_known": f"{account}:{browser}"}
    source = get_adapter().get_client_ip(request)
    return {"login_failed": f"{account}:{ratelimit.truncate_ip(source)}", "login_failed_anywhere": account}


def count(request: HttpRequest, email: str) -> Tries | None:
    """Count one try, before anybody looks at the password. None when there were too many."""
    counted: list[ratelimit.RateLimitUsage] = []
    for action, key in _keys(request, email).items():
        usage = ratelimit.consume(request, app="allauth.account", action=action, key=key)
        if not usage:
            Tries(tuple(counted)).rollback()
            return None
        counted.append(usage)
    return Tries(tuple(counted))


def forgive(request: HttpRequest, email: str) -> None:
    """After a new password by mail: the person who has it starts over."""
    for action, key in _keys(request, email).items():
        ratelimit.clear(request, app="allauth.account", action=action, key=key)
