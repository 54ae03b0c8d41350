"""What the Git page shows, as plain values for the templates."""

from typing import Any

from django.conf import settings

from deployments.models import Deploy, Deployment, GitSource
from deployments.outgoing.git.keys import fingerprint

SHORT = 8  # characters of a commit's hash


def short(sha: str) -> str:
    """A commit's hash as people write it."""
    return sha[:SHORT]


def facts(git: dict[str, Any]) -> dict[str, Any]:
    """The Git facts of a deploy; empty when its code came from elsewhere."""
    return {**git, "short": short(str(git.get("sha", "")))} if git.get("sha") else {}


def live(source: GitSource) -> dict[str, Any]:
    """How it stands: a badge, a sentence and what can be done. One query."""
    deployed = (
        Deploy.objects.filter(deployment=source.pk, git__sha=source.handled).order_by("-number").first()
        if source.handled
        else None
    )
    return {
        "source": source,
        "state": _state(source),
        "head": short(source.head),
        "head_link": source.parsed.commit_url(source.head) if source.head else "",
        "offered": fingerprint(source.offered_host_key),
        "confirmed": fingerprint(source.host_key),
        "deploy": deployed,
        "handled": short(source.handled),
        "rewritten": short(str(deployed.git.get("rewritten", ""))) if deployed is not None else "",
    }


def _state(source: GitSource) -> dict[str, Any]:
    if source.offered_host_key:
        word = "Host key changed" if source.host_key else "Confirm the host key"
        return {"tone": "warn", "icon": "key-round", "label": word}
    if source.is_looked_at:
        return {"tone": "busy", "icon": "loader-circle", "turns": True, "label": "Looking"}
    if source.problem:
        return {"tone": "bad", "icon": "octagon-x", "label": "Cannot be read"}
    if source.handled_note and source.handled == source.head:
        return {"tone": "warn", "icon": "triangle-alert", "label": "Not deployed"}
    if source.is_newer:
        return {"tone": "warn", "icon": "circle-dot", "label": "A newer commit is there"}
    return {"tone": "ok", "icon": "circle-check", "label": "Up to date"}


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
