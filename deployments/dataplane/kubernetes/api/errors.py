"""What an API server's answer means, in one sentence that a person can act on. Pure.

The server's text is hostile: it may come from a webhook, an image name or a proxy. It is cut and stripped here.
"""

from collections.abc import Mapping
from typing import Any

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.kubernetes.text import clean

LONGEST = 1000  # characters of the server's text in a sentence


class ApiRefused(DataPlaneError):
    """The API server answered no. `status` is its HTTP status."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class NamespaceEnding(ApiRefused):
    """The object's namespace is being deleted: wait for that."""


class Forbidden(ApiRefused):
    """Our account may not do this, by the word of the cluster's rules."""


class Busy(DataPlaneUnreachable):
    """The API server asks us to come back later (429, 503, 504). `after` is in seconds, 0 when it says nothing."""

    def __init__(self, sentence: str, after: float = 0.0) -> None:
        super().__init__(sentence)
        self.after = after


class NoRules(Busy):
    """The API server forbids even what every account may ask: it has just begun, and its rules are not loaded yet."""

    def __init__(self) -> None:
        super().__init__(
            "The cluster's API server is starting: it does not know yet what Airdeck's account may do (403)."
        )


class SignInRefused(DataPlaneUnreachable):
    """The API server does not accept our credentials (401)."""


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that Retry-After asks for, at most 60; 0 without a usable one."""
    text = headers.get("Retry-After") or ""
    return min(60.0, float(text)) if text.isdecimal() else 0.0


def failure(status: int, headers: Mapping[str, str], body: Mapping[str, Any], what: str) -> DataPlaneError:
    """The error for an answer that is not 2xx. `what` names the object or the list ("Deployment scheduler")."""
    message = clean(str(body.get("message") or ""), LONGEST).rstrip(".")
    if status == 401:
        return SignInRefused(
            "The cluster rejects Airdeck's credentials (401). "
            "Register the cluster again with a valid token or certificate."
        )
    if status in (429, 503, 504):
        message = f" ({message[:200]})" if message else ""
        return Busy(
            f"The cluster's API server is overloaded or starting: HTTP {status}{message}.",
            retry_after(headers),
        )
    if status == 403:
        return _forbidden(message, body, what)
    if status == 404:
        return ApiRefused(404, f"{what} is not there{_because(message)}.")
    if status == 409:
        return ApiRefused(409, f"{what} was changed by another client at the same moment{_because(message)}.")
    if status == 422 or "typed patch object" in message:  # of a wrong type: the real server answers with 500
        return ApiRefused(422, f"The cluster refuses {what}: {_fields(body) or message or 'invalid'}.")
    if status >= 500:
        return DataPlaneUnreachable(f"The cluster's API server failed with HTTP {status}{_because(message)}.")
    return ApiRefused(
        status, f"The cluster's API server answered {what} with HTTP {status}{_because(message)}."
    )


def _forbidden(message: str, body: Mapping[str, Any], what: str) -> DataPlaneError:
    causes = (body.get("details") or {}).get("causes") or ()
    ending = any(
        cause.get("reason") == "NamespaceTerminating" for cause in causes if isinstance(cause, Mapping)
    )
    if ending or "being terminated" in message:
        return NamespaceEnding(403, "The namespace is being deleted; waiting for that to end.")
    if "exceeded quota" in message:
        return ApiRefused(
            403, f"The namespace's quota does not allow {what}: {message}. Ask for less, or raise the quota."
        )
    if "violates PodSecurity" in message:
        return ApiRefused(403, f"The cluster's Pod Security policy rejected {what}: {message}.")
    if "admission webhook" in message or "denied the request" in message:
        return ApiRefused(403, f"A policy of the cluster refused {what}: {message}.")
    return Forbidden(
        403,
        f"Airdeck's account in the cluster may not do this to {what}{_because(message)}. Grant the right.",
    )


def _fields(body: Mapping[str, Any]) -> str:
    """ "spec.selector: field is immutable", for each cause that names a field."""
    causes = (body.get("details") or {}).get("causes") or ()
    named = [cause for cause in causes if isinstance(cause, Mapping) and cause.get("field")]
    return clean(
        "; ".join(f"{cause['field']}: {cause.get('message') or 'invalid'}" for cause in named[:3])
    ).rstrip(".")


def _because(message: str) -> str:
    return f": {message}" if message else ""
