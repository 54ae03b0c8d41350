"""The tenancy app."""

from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    """Users, Workspaces, memberships, audit."""

    name = "workspaces"
