"""How a Git source stands, for the page and the API, and what the page shows, as plain values for the templates."""

from enum import StrEnum
from typing import Any

from django.conf import settings

from deployments.domain.git_address import without_passwords
from deployments.models import Deploy, Deployment, GitSource
from deployments.outgoing.git.keys import fingerprint

SHORT = 8  # characters of a commit's hash
REPLACING = (
    "The secret that your Git host has now stops working at once. Events are refused until you enter the new one "
    "there.",
)


class GitState(StrEnum):
    """How a Git source stands. The values are the API's."""

    CONFIRM_HOST_KEY = "confirm_host_key"
    HOST_KEY_CHANGED = "host_key_changed"
    LOOKING = "looking"
    UNREADABLE = "unreadable"
    NOT_DEPLOYED = "not_deployed"
    NEWER_COMMIT = "newer_commit"
    UP_TO_DATE = "up_to_date"
    NOT_LOOKED_AT = "not_looked_at"


_BADGES: dict[GitState, dict[str, Any]] = {
    GitState.CONFIRM_HOST_KEY: {"tone": "warn", "icon": "key-round", "label": "Confirm the host key"},
    GitState.HOST_KEY_CHANGED: {"tone": "warn", "icon": "key-round", "label": "Host key changed"},
    GitState.LOOKING: {"tone": "busy", "icon": "loader-circle", "turns": True, "label": "Looking"},
    GitState.UNREADABLE: {"tone": "bad", "icon": "octagon-x", "label": "Cannot be read"},
    GitState.NOT_DEPLOYED: {"tone": "warn", "icon": "triangle-alert", "label": "Not deployed"},
    GitState.NEWER_COMMIT: {"tone": "warn", "icon": "circle-dot", "label": "A newer commit is there"},
    GitState.UP_TO_DATE: {"tone": "ok", "icon": "circle-check", "label": "Up to date"},
    GitState.NOT_LOOKED_AT: {"tone": "off", "icon": "circle-dashed", "label": "Not looked at yet"},
}


def short(sha: str) -> str:
    """A commit's hash as people write it."""
    return sha[:SHORT]


def facts(git: dict[str, Any]) -> dict[str, Any]:
    """The Git facts of a deploy; empty when its code came from elsewhere."""
    return {**without_passwords(git), "short": short(str(git.get("sha", "")))} if git.get("sha") else {}


def state_of(source: GitSource) -> GitState:
    """How it stands. No query."""
    if source.offered_host_key:
        return GitState.HOST_KEY_CHANGED if source.host_key else GitState.CONFIRM_HOST_KEY
    if source.is_looked_at:
        return GitState.LOOKING
    if source.problem:
        return GitState.UNREADABLE
    if not source.head:
        return GitState.NOT_LOOKED_AT
    if source.handled_note and source.handled == source.head and not source.same_code:
        return GitState.NOT_DEPLOYED
    return GitState.NEWER_COMMIT if source.is_newer else GitState.UP_TO_DATE


def title_of(state: GitState) -> str:
    """The words on the badge."""
    return str(_BADGES[state]["label"])


def last_deploy(source: GitSource) -> Deploy | None:
    """The newest deploy of the commit that was last dealt with. One query."""
    if not source.handled:
        return None
    rows = Deploy.objects.filter(deployment=source.pk, git__sha=source.handled)
    return rows.order_by("-number").first()


def live(source: GitSource) -> dict[str, Any]:
    """How it stands: a badge, a sentence and what can be done. One query."""
    deployed = last_deploy(source)
    return {
        "source": source,
        "state": _BADGES[state_of(source)],
        "head": short(source.head),
        "head_link": source.parsed.commit_url(source.head) if source.head else "",
        "offered": fingerprint(source.offered_host_key),
        "confirmed": fingerprint(source.host_key),
        "deploy": deployed,
        "handled": short(source.handled),
        "rewritten": short(str(deployed.git.get("rewritten", ""))) if deployed is not None else "",
    }


def settings_of(source: GitSource) -> list[dict[str, str]]:
    """What is followed, as labels and values."""
    every = source.every_minutes
    minutes = (
        "Only by webhook or a click"
        if every is None
        else "Every minute"
        if every == 1
        else f"Every {every} minutes"
    )
    if source.is_ssh:
        credentials = "A key that Airdeck made"
    else:
        credentials = "A token" if source.has_token else "None: the repository is public"
    rows = [
        ("Repository", source.address),
        ("Branch", source.branch),
        ("Subfolder", source.subfolder or "The whole repository"),
        ("Looks", minutes),
        ("A newer commit", "Is deployed automatically" if source.automatic else "Waits for a click"),
        ("Credentials", credentials),
    ]
    return [{"label": label, "value": value} for label, value in rows]


def hook_url(deployment: Deployment) -> str:
    """To which address a Git host sends its events."""
    return settings.BASE_URL + deployment.url_for("git_hook")
