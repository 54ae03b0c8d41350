"""The project: settings, wiring, home and health, and the embedded default.

It imports nothing: `manage.py up` lives in this package, waits for days, and should hold no Celery in the meantime.
"""

# The one place of the version. The chart's appVersion and CHANGELOG.md follow it (console/tests/test_chart.py).
__version__ = "0.1.0"
