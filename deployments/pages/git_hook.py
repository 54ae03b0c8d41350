"""Where Git hosts say that something was pushed. No session, no CSRF token: the signature is the proof. What is
answered does not show whether a Deployment exists, and an event makes Airdeck look, nothing else."""

from allauth.account.adapter import get_adapter
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from console.kit import crypto, limits
from deployments.actions import git_sources as actions
from deployments.domain.git_hooks import BODY_BYTES, is_signed
from deployments.models import GitSource
from deployments.secrets import vault

PER_ADDRESS = (120, 60)  # events of one network address, in so many seconds: a Git host has many repositories


def _answer(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8")


@csrf_exempt
@require_POST
def git_hook(request: HttpRequest, release_name: str) -> HttpResponse:
    """Take a push event of a Git host: it makes the source due and nothing else."""
    limit, seconds = PER_ADDRESS
    wait = limits.hit("git hook", get_adapter().get_client_ip(request), limit=limit, seconds=seconds)
    if wait:
        answer = _answer(429, f"Too many events. Send the next one in {wait} s.")
        answer["Retry-After"] = str(wait)
        return answer
    body = _body(request)
    if body is None:
        return _answer(413, "An event may have at most 1 MiB.")
    source = (
        GitSource.objects.select_related("deployment").filter(deployment__release_name=release_name).first()
    )
    secret = _secret(source)
    if not is_signed(request.headers, body, secret) or source is None:
        return _answer(403, "The secret of this webhook is wrong, or there is none.")
    actions.notice_push(source=source)
    return _answer(202, "Airdeck looks at the repository soon.")


def _body(request: HttpRequest) -> bytes | None:
    """The event; None when it is too large."""
    try:
        return request.body if int(request.headers.get("Content-Length") or 0) <= BODY_BYTES else None
    except (RequestDataTooBig, ValueError):
        return None


def _secret(source: GitSource | None) -> str:
    if source is None or not source.has_hook:
        return ""
    try:
        return vault.open_git(source.deployment)[vault.GIT_HOOK]
    except crypto.DecryptionError:
        return ""
