"""The project's own app: commands and wiring."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Home, health, the gallery and `manage.py up`."""

    name = "console"

    def ready(self) -> None:
        """Make the Celery app known, so that a task called in any process goes to its broker."""
        import console.celery  # noqa: F401
