"""What no page maps itself."""

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from console.kit.refusals import ActionRefused
from console.views import refused


class RefusalMiddleware(MiddlewareMixin):
    """An action refused and the page had no place for it, like a queue that another person has just deleted: an error
    page with the refusal's sentence and status."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The page for a refusal; None for every other exception."""
        return refused(request, exception) if isinstance(exception, ActionRefused) else None
