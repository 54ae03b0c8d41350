"""The project's own app: commands and wiring."""

import structlog
from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin import apps as admin_apps


class ConsoleConfig(AppConfig):
    """Home, health, the gallery and `manage.py up`."""

    name = "console"

    def ready(self) -> None:
        """Make the Celery app known, so that a task called in any process goes to its broker; and our checks."""
        import console.celery
        import console.checks  # noqa: F401

        role = settings.PROCESS_ROLE
        if role != "command":
            structlog.get_logger(__name__).info("process_starts", role=role, version=settings.VERSION)


class OperatorsConfig(admin_apps.AdminConfig):
    """Django admin, with the site that signs in through the console's own accounts."""

    default = False  # not the config of "console"
    default_site = "workspaces.operator_site.OperatorSite"
