"""The page of the search, and the parts of it that the dialog of each page asks for."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET

from console.kit.http import HtmxHttpRequest
from console.search.results import IN_DIALOG, ON_PAGE, Asked, Group, find, words_of
from deployments.pages import looked_at
from workspaces.middleware import LAST_WORKSPACE
from workspaces.models import User

LONGEST = 100  # characters that are looked for


def _groups(request: HttpRequest, text: str, most: int) -> list[Group]:
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    here = request.COOKIES.get(LAST_WORKSPACE, "")
    seen = tuple(looked_at.release_names(request))
    return find(Asked(request.user, words_of(text), here, seen, most))


@require_GET
@login_required
def search(request: HtmxHttpRequest) -> HttpResponse:
    """Everything that the person may see and that holds the words of `q`. As a fragment with `q` the results alone, and
    without it the whole dialog: rendered without the shell, which costs queries that they have no use for."""
    text = request.GET.get("q", "")[:LONGEST].strip()
    groups = _groups(request, text, IN_DIALOG if request.htmx else ON_PAGE)
    context = {"q": text, "groups": groups, "count": sum(len(group.hits) for group in groups)}
    if not request.htmx:
        return render(request, "search/search.html", context)
    part = "search/_results.html" if "q" in request.GET else "search/_dialog.html"
    return HttpResponse(render_to_string(part, context))


@require_GET
@login_required
def keys(request: HtmxHttpRequest) -> HttpResponse:
    """Which keys there are; as a fragment the dialog that shows them."""
    if request.htmx:
        return HttpResponse(render_to_string("search/_keys_dialog.html"))
    return render(request, "search/keys.html")
