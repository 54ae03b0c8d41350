"""What the shell around every page needs."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from console.kit.disk import shortage
from workspaces.invitation_lookup import waiting_for
from workspaces.models import User, Workspace
from workspaces.permissions import Permission


def shell(request: HttpRequest) -> dict[str, Any]:
    """The user's Workspaces, the current one, and the navigation. Two queries, and none for strangers."""
    user = getattr(request, "user", None)
    outside = request.resolver_match is not None and request.resolver_match.app_name == "admin"
    machine = {
        "embedded": settings.EMBEDDED,
        "disk_shortage": shortage(settings.STATE_DIR) if settings.EMBEDDED else "",
    }
    if outside or not isinstance(user, User):  # operators' pages have a shell of their own
        return {**machine, "nav": [], "workspaces": [], "workspace": None}
    workspaces = list(Workspace.objects.filter(memberships__user=user))
    current: Workspace | None = getattr(request, "workspace", None)
    return {
        **machine,
        "user_theme": user.theme,
        "workspaces": workspaces,
        "workspace": current,
        "nav": _nav(request, current) if current else [],
        "invitations_waiting": waiting_for(user).count(),
    }


def _nav(request: HttpRequest, workspace: Workspace) -> list[dict[str, Any]]:
    can = getattr(request, "can", lambda _: False)
    items = [
        ("Deployments", reverse("deployments:list", args=[workspace.pk]), "layers"),
        ("Activity", reverse("deployments:activity", args=[workspace.pk]), "history"),
        ("Members", reverse("members", args=[workspace.pk]), "users"),
    ]
    if can(Permission.EDIT_WORKSPACE):
        items.append(("Settings", reverse("workspace_settings", args=[workspace.pk]), "settings"))
    return [
        {
            "label": label,
            "url": url,
            "icon": icon,
            "current": request.path.startswith(url)
            or (label == "Deployments" and request.path.startswith("/deployments/")),
        }
        for label, url, icon in items
    ]
