"""The project: settings, wiring, home and health, and the embedded default.

It imports nothing: `manage.py up` lives in this package, waits for days, and should hold no Celery in the meantime.
"""
