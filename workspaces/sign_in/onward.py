"""From a form of ours to another site. The policy on forms (`form-action 'self'`) counts the redirects that follow a
form, too, in Chrome: who signs in on the way to another tool, or to Airflow, would stay on the form. So a page of ours
comes in between, and goes on by itself."""

from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import Resolver404, resolve


def onward(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """The page in place of a redirect to a view that leads to another site (`leads_elsewhere`); else the answer."""
    if not isinstance(answer, HttpResponseRedirect):
        return answer
    try:
        view = resolve(urlsplit(answer.url).path).func
    except (Resolver404, ValueError):
        return answer
    if not getattr(view, "leads_elsewhere", False):
        return answer
    page = render(request, "account/onward.html", {"to": answer.url})
    page["Refresh"] = f"0; url={answer.url}"
    return page
