"""The project: settings, wiring, home and health, and the embedded default."""

from console.celery import app as celery_app

__all__ = ["celery_app"]
