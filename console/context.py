"""What the shell around every page needs."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db.models import F
from django.http import HttpRequest

from console.kit.disk import shortage
from deployments.queries.alerts import open_alerts_of_each
from workspaces.invitation_lookup import waiting_for
from workspaces.middleware import LAST_WORKSPACE
from workspaces.models import User, Workspace
from workspaces.permissions import WHILE_SUSPENDED, Permission, role_allows


def shell(request: HttpRequest) -> dict[str, Any]:
    """The user's Workspaces, the current one, and the navigation with the number of open alerts. Two queries, and none
    for strangers."""
    user = getattr(request, "user", None)
    outside = request.resolver_match is not None and request.resolver_match.app_name == "admin"
    machine = {
        "airdeck_version": settings.VERSION,
        "embedded": settings.EMBEDDED,
        "company_account": settings.OIDC_NAME if settings.OIDC_URL else "",
        "company_account_only": settings.OIDC_ONLY,
        "disk_shortage": shortage(settings.STATE_DIR) if settings.EMBEDDED else "",
    }
    if outside or not isinstance(user, User):  # operators' pages have a shell of their own
        return {**machine, "nav": [], "workspaces": [], "workspace": None}
    own = Workspace.objects.filter(memberships__user=user)
    workspaces = list(own.annotate(role=F("memberships__role"), open_alerts=open_alerts_of_each()))
    current = _current(request, workspaces)
    return {
        **machine,
        "user_theme": user.theme,
        "workspaces": workspaces,
        "workspace": current,
        "nav": _nav(request, current) if current else [],
        "invitations_waiting": waiting_for(user).count(),
    }


def _current(request: HttpRequest, workspaces: Sequence[Workspace]) -> Workspace | None:
    """The Workspace that the page is of; outside of any, the one that was looked at last, else the only one."""
    here: Workspace | None = getattr(request, "workspace", None)
    if here is not None:
        return next((each for each in workspaces if each.pk == here.pk), here)
    last = request.COOKIES.get(LAST_WORKSPACE)
    remembered = next((each for each in workspaces if str(each.pk) == last), None)
    return remembered or (workspaces[0] if len(workspaces) == 1 else None)


def _nav(request: HttpRequest, workspace: Workspace) -> list[dict[str, Any]]:
    role = getattr(workspace, "role", None)
    suspended = workspace.suspended_at is not None and Permission.EDIT_WORKSPACE not in WHILE_SUSPENDED
    items = [
        ("Home", workspace.url_for("deployments:home"), "house"),
        ("Deployments", workspace.url_for("deployments:list"), "layers"),
        ("DAGs", workspace.url_for("deployments:workspace_dags"), "workflow"),
        ("Alerts", workspace.url_for("deployments:workspace_alerts"), "bell"),
        ("Activity", workspace.url_for("deployments:activity"), "history"),
        ("Members", workspace.url_for("members"), "users"),
        ("API tokens", workspace.url_for("workspace_tokens"), "key-round"),
    ]
    if role and role_allows(role, Permission.EDIT_WORKSPACE) and not suspended:
        items.append(("Settings", workspace.url_for("workspace_settings"), "settings"))
    return [
        {
            "label": label,
            "url": url,
            "icon": icon,
            "count": getattr(workspace, "open_alerts", 0) if label == "Alerts" else 0,
            "current": request.path == url
            or (label != "Home" and request.path.startswith(url))
            or (label == "Deployments" and request.path.startswith("/deployments/")),
        }
        for label, url, icon in items
    ]
