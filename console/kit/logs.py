"""Structured logs: one JSON object a line, UTC, with the ids bound by the process that handles the request or task."""

import re
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Addresses that let their reader in: an invitation, a password reset, a confirmation.
_LINKS = re.compile(r"(/join/|/password/reset/key/|/confirm-email/)[^/\s]+")
_TOKENS = re.compile(r"(adk_[a-z]_)[0-9A-Za-z]+")  # an API token, wherever a program put it


def hide_links(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The address of a request without its query: what a person looks for, or a program says of a deploy, is not for
    the log. And every text without the secrets that may stand in it: Django's own lines name addresses, too ("Forbidden
    …: /join/…"), and so does what an exception says."""
    if isinstance(event.get("request"), str):
        event["request"] = event["request"].partition("?")[0]
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _TOKENS.sub(r"\1…", _LINKS.sub(r"\1…", value))
    return event


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    hide_links,  # here, so that whatever handler takes the record, ours or another one, is never given a secret
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def logging_config(*, json: bool, level: str) -> dict[str, Any]:
    """Configure structlog and return Django's LOGGING. JSON escapes newlines, so a name cannot forge a line."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    render: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if json:  # once more for the text of an exception, which is text only now
        render += [structlog.processors.format_exc_info, hide_links, structlog.processors.JSONRenderer()]
    else:
        render += [structlog.dev.ConsoleRenderer(colors=False)]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": render,
                "foreign_pre_chain": SHARED,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            "django.request": {"level": "ERROR"},
            "celery": {"level": "WARNING"},
            # Which sets up lines of its own before it loads us: an exception would be a page of them.
            "uvicorn": {"handlers": [], "propagate": True, "level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
        },
    }
