"""The ASGI application: Django, and on the embedded default the Airflow UIs on host names of their own."""

import os
from typing import cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
application = get_asgi_application()

from django.conf import settings  # noqa: E402 - after Django is set up

if settings.EMBEDDED:
    from functools import partial

    from deployments.dataplane.local import ports
    from deployments.dataplane.local.proxy import AirflowProxy, App

    application = AirflowProxy(  # type: ignore[assignment]
        cast(App, application),
        upstream=partial(ports.upstream, settings.STATE_DIR),
        console_url=settings.BASE_URL,
    )
