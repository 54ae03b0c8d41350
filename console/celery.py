"""The Celery app: workers run reconcile passes, beat sends the sweep."""

import os

from celery import Celery

from console.kit import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

broker.install()
app = Celery("airdeck")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
