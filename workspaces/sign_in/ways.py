"""What a person agreed to and no program has fetched yet: codes of the command line and of other tools. Whatever ends
the person's other ways in ends these too."""

from django.conf import settings
from django.core.cache import cache
from django.utils.crypto import get_random_string

from workspaces.models import User


def end_unfetched(user: User) -> None:
    """What this person said yes to and no program has fetched signs no one in: it may have been another person who
    said it, and who is being shown out. In the transaction of what ends the other ways in."""
    # The codes of devices live longest; those of tools a minute.
    cache.set(_key(user), get_random_string(22), timeout=2 * settings.IDP_OIDC_DEVICE_CODE_EXPIRES_IN)


def mark(user: User) -> str:
    """Another text each time that this person's ways in were ended; "" when that is long ago. It is read before the
    person agrees: what ends them from there on ends this yes too."""
    return str(cache.get(_key(user), ""))


def still_count(user: User, marked: str) -> bool:
    """Whether no way in of theirs was ended since. What ends them waits from here on until the sign-in is a row, which
    it then ends as it does the others. In a transaction."""
    User.objects.select_for_update().get(pk=user.pk)
    return mark(user) == marked


def _key(user: User) -> str:
    return f"device:ways:{user.pk}"
