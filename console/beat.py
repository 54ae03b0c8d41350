"""The Celery app of beat alone: it only sends task names on time, so it needs the settings but no Django."""

from celery import Celery

app = Celery("airdeck-beat", fixups=[])
app.config_from_object("console.settings", namespace="CELERY")
