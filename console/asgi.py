"""The ASGI application: Django, and on the embedded default the Airflow UIs on host names of their own."""

from typing import cast

from django.core.asgi import get_asgi_application

from console.starting import load_settings

load_settings()
django_application = get_asgi_application()

from django.conf import settings  # noqa: E402 - after Django is set up
from django.urls import get_resolver  # noqa: E402

from console.kit.api_body_limit import ApiBodyLimit  # noqa: E402
from console.kit.body_limit import MIB, BodyLimit  # noqa: E402
from console.kit.long_requests import is_long  # noqa: E402
from console.kit.memory import collect_often  # noqa: E402
from console.kit.threads import App, SharedThreads  # noqa: E402
from deployments.api.uploads import upload_refusal  # noqa: E402
from deployments.domain.upload_path import is_api_upload, is_upload  # noqa: E402
from workspaces.signed_in import signed_in  # noqa: E402

application: App = SharedThreads(cast(App, django_application), is_long=is_long)
# An archive of code has at most 100 MiB; the rest is for what a form puts around it.
application = BodyLimit(
    application, ordinary=5 * MIB, upload=101 * MIB, is_upload=is_upload, signed_in=signed_in
)
application = ApiBodyLimit(
    application, ordinary=MIB, upload=100 * MIB, is_upload=is_api_upload, refusal=upload_refusal
)

if settings.EMBEDDED:
    from functools import partial

    from deployments.dataplane.local import ports
    from deployments.dataplane.local.proxy import AirflowProxy

    application = AirflowProxy(
        application,
        upstream=partial(ports.upstream, settings.STATE_DIR),
        console_url=settings.BASE_URL,
    )

if settings.PROCESS_ROLE == "web":
    get_resolver().url_patterns  # noqa: B018 - imports every page and endpoint
    collect_often()
