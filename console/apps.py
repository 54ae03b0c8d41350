"""The project's own app: commands and wiring."""

import structlog
from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin import apps as admin_apps
from django.db import connection


class ConsoleConfig(AppConfig):
    """Home, health, the gallery and `manage.py up`."""

    name = "console"

    def ready(self) -> None:
        """Make the Celery app known, so that a task called in any process goes to its broker; and our checks."""
        import console.celery
        import console.checks

        role = settings.PROCESS_ROLE
        if settings.METRICS_PORT and role in {"web", "worker", "observer"}:
            _count(role)
        if role != "command":
            structlog.get_logger(__name__).info("process_starts", role=role, version=settings.VERSION)
        if role == "web":  # who reads no check reads why no one comes in
            for each in console.checks.is_reached():
                structlog.get_logger(__name__).warning(
                    "setting_keeps_people_out", problem=each.msg, do=each.hint
                )


def _count(role: str) -> None:
    """Count, and answer scrapes. Imported only where it is wished: it is 60 ms of a start."""
    from console.kit import metrics_server
    from deployments.queries import figures

    def read() -> metrics_server.Figures:
        try:
            return figures.read()
        finally:
            connection.close()  # it is the only thing that its thread uses it for

    metrics_server.start(
        role=role,
        version=settings.VERSION,
        address=settings.METRICS_ADDRESS,
        port=settings.METRICS_PORT,
        figures=read if role == "observer" else None,
    )


class OperatorsConfig(admin_apps.AdminConfig):
    """Django admin, with the site that signs in through the console's own accounts."""

    default = False  # not the config of "console"
    default_site = "workspaces.operator_site.OperatorSite"
