"""The project's own app: commands and wiring."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Home, health, the gallery and `manage.py up`."""

    name = "console"
