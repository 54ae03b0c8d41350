"""The document that describes the API for machines: OpenAPI 3.1, made of the endpoints themselves.

docs/openapi.json is this, committed; `manage.py write_openapi` writes it, and refuses to take anything away.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from console.api.v1 import api
from console.kit.problems import CONTENT_TYPE

FILE = Path("docs", "openapi.json")
PREFIX = "/api/v1"
PROBLEM = {
    "title": "Problem",
    "description": "An error (RFC 9457). `detail` is a sentence for people; programs read `code`.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "errors", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "sentence"],
                "properties": {"path": {"type": "string"}, "sentence": {"type": "string"}},
            },
        },
        "request_id": {"type": "string"},
    },
}
ERROR = {
    "description": "An error.",
    "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "description": "The same key again gives the first result.",
    "schema": {"type": "string", "maxLength": 64},
}
MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": False,
    "description": "The ETag of what was read: 412 when it changed since.",
    "schema": {"type": "string"},
}
NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "required": False,
    "description": "With `wait`: answer as soon as anything differs from this ETag.",
    "schema": {"type": "string"},
}
HEADERS = {
    **dict.fromkeys(("apply_deployment_file", "create_deployment", "create_deploy", "roll_back"), KEY),
    **dict.fromkeys(("deploy_image", "create_git_webhook_secret"), KEY),
    **dict.fromkeys(("create_alert_channel", "create_alert_channel_secret"), KEY),
    **dict.fromkeys(("update_workspace", "update_deployment", "update_worker_queue"), MATCH),
    **dict.fromkeys(("replace_variables", "set_variable", "roll_back_variables", "set_schedule"), MATCH),
    **dict.fromkeys(("set_git_source", "update_git_source", "set_registry_login"), MATCH),
    "update_alert_channel": MATCH,
    "get_operation": NONE_MATCH,
}


@cache
def document() -> dict[str, Any]:
    """The whole of it, as plain values."""
    found: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(path_prefix=PREFIX), default=str))
    found["components"]["schemas"]["Problem"] = PROBLEM
    scheme = {"type": "http", "scheme": "bearer", "description": "An API token: adk_…."}
    found["components"]["securitySchemes"] = {"token": scheme}
    for item in found["paths"].values():
        for operation in item.values():
            operation["security"] = [{"token": []}]
            operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
            operation["responses"] |= {"4XX": ERROR, "5XX": ERROR}
            if header := HEADERS.get(operation["operationId"]):
                operation.setdefault("parameters", []).append(header)
    return found


def text() -> str:
    """As it is committed and served."""
    return json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def committed() -> str:
    """The file; "" without one."""
    path = settings.BASE_DIR / FILE
    return path.read_text() if path.exists() else ""


@require_safe
@login_not_required
def openapi(request: HttpRequest) -> HttpResponse:
    """The document, for everybody."""
    return HttpResponse(text(), content_type="application/json; charset=utf-8")
