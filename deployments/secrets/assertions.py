"""What the console signs for an Airflow: who signs in, who may stay, and tokens for scripts. No rows.

Each Deployment has a key of its own; its Airflow gets the public half (`dataplane/airflow_sign_in.py` checks what is
signed here). Tokens for scripts are Airflow's own kind, so they are made with the key that is Airflow's already. Times
are in seconds since 1970, by the console's database alone: its clock is one, those of processes are several.
"""

import base64
import uuid
from collections.abc import Mapping

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deployments.dataplane.airflow_sign_in import PEOPLE, PROGRAM, SCRIPT, SIGN_IN, SKEW_SECONDS, audience

ASSERTION_SECONDS = 60
AIRFLOW_AUDIENCE = "apache-airflow"  # of tokens of people; Airflow's default


def new_key() -> str:
    """A private key, as text."""
    return base64.urlsafe_b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


def public_half(key: str) -> str:
    """The half that an Airflow gets."""
    return base64.urlsafe_b64encode(_private(key).public_key().public_bytes_raw()).decode()


def sign_in(
    key: str, *, release: str, user_id: str, email: str, role: str, state: str, to: str, now: float
) -> str:
    """An assertion that this is `user_id`, with Airflow's `role`, for the browser whose cookie `state` is the digest
    of. `to` is the path to show."""
    claims = {
        "aud": audience(SIGN_IN, release),
        "iat": now,
        "exp": now + ASSERTION_SECONDS,
        "jti": uuid.uuid4().hex,
        "sub": user_id,
        "email": email,
        "role": role,
        "state": state,
        "next": to,
    }
    return jwt.encode(claims, _private(key), algorithm="EdDSA")


def people(key: str, *, release: str, people: Mapping[str, tuple[str, float]], now: float) -> str:
    """The list of who may stay: role, and the moment before which their sessions have ended, by user id."""
    claims = {
        "aud": audience(PEOPLE, release),
        "iat": now,
        "people": {user_id: list(each) for user_id, each in sorted(people.items())},
    }
    return jwt.encode(claims, _private(key), algorithm="EdDSA")


def airflow_token(
    jwt_secret: str, *, user_id: str, email: str, role: str, now: float, seconds: int, capped: bool = False
) -> str:
    """A token of Airflow's own kind for scripts. It begins a minute ago, since clocks differ. A `capped` one never
    allows more than `role`; others follow the person's role when that grows, too."""
    claims = {
        "aud": AIRFLOW_AUDIENCE,
        "iat": int(now - SKEW_SECONDS),
        "nbf": int(now - SKEW_SECONDS),
        "exp": int(now) + seconds,
        "jti": uuid.uuid4().hex,
        "sub": user_id,
        "email": email,
        "role": role,
        "kind": PROGRAM if capped else SCRIPT,
        "since": now,
    }
    return jwt.encode(claims, jwt_secret, algorithm="HS512")


def _private(key: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(key))
