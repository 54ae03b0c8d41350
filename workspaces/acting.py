"""By which API token a person acts at present, so that audit events and labels can name it.

Actions take a person (`by`). When a program asks with a token, that person is its maker, and this says so.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class ActingToken:
    """A token as it is named: never its value."""

    pk: UUID
    name: str


_token: ContextVar[ActingToken | None] = ContextVar("acting_token", default=None)


def begin(token: ActingToken) -> None:
    """From now on what happens in this request is done with this token. `end` is the caller's duty: the API's
    middleware does it."""
    _token.set(token)


def end() -> None:
    """No token is in use any more."""
    _token.set(None)


def current() -> ActingToken | None:
    """The token in use; None when a person acts in a browser, or Airdeck itself."""
    return _token.get()


def named(who: str) -> str:
    """ "alice@example.org", or "alice@example.org's token ci-deploy" when one is in use."""
    token = _token.get()
    return f"{who}'s token {token.name}" if token else who
