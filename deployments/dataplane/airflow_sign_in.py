"""What a sign-in at an Airflow rests on: who may be believed, for how long, and who may stay. Pure but for one file
that it reads; `airflow_auth_manager` makes Airflow's auth manager of it.

Who visits without a session is led to the console, which asks who that is and whether they may, and sends the browser
back with an assertion: signed with the key of this Airflow alone, good for a minute, once, and only in the browser
that asked. From then on nobody is asked: the cookie is Airflow's own token, and who may stay stands in a file
(`People`) that the console writes whenever that changes. So sessions outlive a console that is away.

It is copied beside Airflow as it stands: only the standard library, and PyJWT and cryptography, which Airflow brings.
"""

import base64
import binascii
import hashlib
import hmac
import html
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ROLES = ("VIEWER", "USER", "OP", "ADMIN")
SKEW_SECONDS = 60.0  # by so much the clocks of console and Airflow may differ
STATE_SECONDS = 600  # a person may take so long to sign in to the console
SESSION_SECONDS = 12 * 3600  # then the console is asked again, which nobody sees while its session lives
TOKEN_SECONDS = 3600  # the cookie's token; who does nothing for so long is led through the console again
RENEW_SECONDS = 300  # a token older than this is replaced by a new one of the same session
NEXT_LENGTH = 1024
SIGN_IN, PEOPLE = "airdeck-sign-in", "airdeck-people"  # audiences, each followed by the release name
SESSION, SCRIPT, PASSWORD = "session", "script", "password"  # kinds of tokens
PROGRAM = "program"  # a script's too, but never more than the role that stands in it
NOT_YET = "Airdeck has not written down yet who may open this Airflow. Try again in a minute."


def least(one: str, other: str) -> str:
    """The smaller one of two roles of Airflow. Raises ValueError for what is none."""
    return min(one, other, key=ROLES.index)


class Refused(Exception):
    """Why somebody is not signed in, as a sentence for them."""


@dataclass(frozen=True)
class Assertion:
    """Who signs in, as the console says. `since` is in seconds since 1970, by the console's database."""

    user_id: str
    email: str
    role: str
    since: float
    number: str
    next: str


def audience(purpose: str, release: str) -> str:
    """What a signed text is for: one purpose at one Airflow."""
    return f"{purpose}:{release}"


def public_key(text: str) -> Ed25519PublicKey:
    """The key by which the console's signatures are checked: 32 bytes in base64url. Raises ValueError."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(text))
    except binascii.Error as error:
        raise ValueError("The key is not base64url.") from error


def digest(state: str) -> str:
    """What the console learns of the secret that stays in the browser's cookie."""
    return hashlib.sha256(state.encode()).hexdigest()


def signed(text: str, key: Ed25519PublicKey, meant_for: str) -> dict[str, Any]:
    """The claims of a text that the console signed for this purpose. Raises jwt.InvalidTokenError. Times are
    for the caller to judge, who knows which clock made them."""
    options: Any = {"require": ["aud", "iat"], "verify_exp": False, "verify_iat": False, "verify_nbf": False}
    claims: dict[str, Any] = jwt.decode(text, key, algorithms=["EdDSA"], audience=meant_for, options=options)
    return claims


def read_assertion(text: str, key: Ed25519PublicKey, release: str, state: str, now: float) -> Assertion:
    """The assertion of a browser that holds `state` in its cookie; `now` in seconds since 1970. Raises Refused.

    Whether it comes for the first time is for the caller to find out, by its `number`."""
    try:
        claims = signed(text, key, audience(SIGN_IN, release))
        begins, ends = float(claims["iat"]), float(claims["exp"])
        names = [str(claims[each]) for each in ("sub", "email", "role", "jti", "state")]
        target = local_path(str(claims.get("next", "")))
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        raise Refused(
            "This sign-in is not one of Airdeck's for this Airflow. Open it from Airdeck."
        ) from None
    user_id, email, role, number, for_state = names
    if not state or not hmac.compare_digest(digest(state), for_state):
        raise Refused("This sign-in was not begun in this browser, or took too long. Open Airflow again.")
    if not begins - SKEW_SECONDS <= now <= ends + SKEW_SECONDS:
        raise Refused(
            "This sign-in is too old, or the clocks of Airdeck and of this Airflow differ by more than a minute. "
            "Open Airflow again."
        )
    if role not in ROLES or len(number) > 64:
        raise Refused("Airdeck names a role that this Airflow does not know. Tell an operator.")
    return Assertion(user_id, email, role, begins, number, target)


def local_path(text: str, own: tuple[str, ...] = ()) -> str:
    """`text` as a path of this Airflow, with its query; "/" for anything else. A whole URL counts when it begins with
    one of the addresses `own`, as Airflow's pages send it."""
    if len(text) > NEXT_LENGTH or any(ord(each) <= 32 or each in '\\"<>' or ord(each) > 126 for each in text):
        return "/"
    parts = urlsplit(text)
    if parts.scheme or parts.netloc:
        if f"{parts.scheme}://{parts.netloc}" not in own:
            return "/"
        text = text[len(f"{parts.scheme}://{parts.netloc}") :]
    path = text.partition("?")[0].partition("#")[0]  # not by urlsplit, which takes "///" for "/"
    return text if path.startswith("/") and "//" not in path and not path.startswith("/auth/") else "/"


class People:
    """Who may come in, as the console last wrote it: a signed text in a file. A look costs one system call while it
    stays the same. A text older than the newest seen does not count, for a program that can write the file could
    bring one back: the newest stands."""

    def __init__(self, file: Path, key: Ed25519PublicKey, release: str) -> None:
        self._file, self._key, self._release = file, key, release
        self._mark: tuple[int, int, int] | None = None
        self._written = 0.0
        self._people: Mapping[str, tuple[str, float]] | None = None

    def role(self, user_id: str, role: str, since: float) -> str:
        """The present role of somebody who came in `since` with `role`. Raises Refused when they may not stay.

        Of people who came after the list was written it knows nothing yet: the console judged them then."""
        self._look()
        if self._people is None:
            raise Refused(NOT_YET)
        if since > self._written:
            return role
        now, not_before = self._people.get(user_id, ("", 0.0))
        if now not in ROLES:
            raise Refused(
                "You do not have permission to open this Airflow any more. Ask an Admin of its Workspace."
            )
        if since < not_before:
            raise Refused("This session was ended. Open Airflow from Airdeck again.")
        return now

    def _look(self) -> None:
        try:
            found = os.stat(self._file)
            mark = (found.st_mtime_ns, found.st_ino, found.st_size)
            if mark == self._mark:
                return
            claims = signed(self._file.read_text(), self._key, audience(PEOPLE, self._release))
            people = {who: (str(role), float(since)) for who, (role, since) in claims["people"].items()}
            written = float(claims["iat"])
        except (OSError, jwt.InvalidTokenError, KeyError, TypeError, ValueError, AttributeError):
            self._mark, self._people = None, None  # nobody may come in by a list that cannot be read
            return
        self._mark = mark
        if written >= self._written:
            self._written, self._people = written, people


def lifetime(since: float, now: float) -> int:
    """For how many seconds a new token of a session that began `since` may live; 0 once the session is over."""
    return max(0, min(TOKEN_SECONDS, int(since + SESSION_SECONDS - now)))


def page(title: str, sentence: str, links: tuple[tuple[str, str], ...] = (), form: str = "") -> str:
    """A small page without style and script, as the console's proxy shows them; `links` are address and words."""
    items = "".join(
        f'<p><a href="{html.escape(to, quote=True)}">{html.escape(words)}</a></p>' for to, words in links
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><h1>{html.escape(title)}</h1><p>{html.escape(sentence)}</p>{form}{items}"
        "</html>"
    )


def fields(body: bytes) -> dict[str, str]:
    """A form's fields, the first of each name."""
    return {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
