"""Pages that put a Deployment to sleep and wake it, by hand and by its schedule."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from console.kit.database_clock import database_now
from console.kit.http import posted, see_other
from deployments.access import deployment_view
from deployments.actions import hibernation
from deployments.actions.refusals import EditConflict, NotNow
from deployments.domain import cron_words, schedules
from deployments.forms import review
from deployments.forms.hibernation import ScheduleForm
from deployments.models import Deployment, HibernationSchedule
from deployments.pages.common import done_at_once, page_context, refused
from deployments.presenters.warnings import hibernate_consequences
from deployments.queries.editable import why_not_editable
from workspaces.access import MemberRequest
from workspaces.permissions import Permission


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def hibernate(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """What sleep does, with the tasks that run now, and asking for it."""
    if request.method == "POST":
        return done_at_once(request, deployment, hibernation.hibernate)
    context = {
        **page_context(request, deployment, "Settings"),
        "not_now": why_not_editable(deployment),
        "consequences": hibernate_consequences(deployment),
        "tasks_url": deployment.url_for("tasks"),
        "schedule_url": deployment.url_for("schedule"),
        "wake_url": deployment.url_for("wake"),
    }
    return render(request, "deployments/hibernation/hibernate.html", context)


@require_POST
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def wake(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Ask for it to run again: reversible, so done at once."""
    return done_at_once(request, deployment, hibernation.wake)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def schedule(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """When it sleeps and wakes by itself, with the next times of both. A preset that is chosen without a script is
    posted here with all that was typed, and saves nothing."""
    form = _form(request, deployment)
    if "suggest" in request.POST:
        replaced = form.suggest(request.POST["suggest"])
        return _page(request, deployment, form, status=200, replaced=replaced)
    if form.is_bound and form.is_valid():
        try:
            hibernation.set_schedule(
                deployment=deployment, by=request.user, shown=form.shown, desired=form.desired
            )
        except EditConflict as other:
            differences = review.differences(form, other.now)
            form.merge(other.now)
            deployment.refresh_from_db()
            return _page(request, deployment, form, status=409, differences=differences)
        except NotNow as error:
            return refused(request, deployment, error)
        messages.success(request, "The schedule is saved.")
        return see_other(deployment.url_for("schedule"))
    return _page(request, deployment, form, status=422 if form.is_bound else 200)


def _form(request: MemberRequest, deployment: Deployment) -> ScheduleForm:
    saved = HibernationSchedule.objects.filter(deployment=deployment).first()
    return ScheduleForm(
        posted(request),
        deployment=deployment,
        settings=hibernation.schedule_settings(saved),
        suggested=request.GET.get("suggest", ""),
    )


def _page(
    request: MemberRequest, deployment: Deployment, form: ScheduleForm, *, status: int, **more: Any
) -> HttpResponse:
    context = {
        **page_context(request, deployment, "Settings"),
        **_when(request, deployment, form),
        "here": deployment.url_for("schedule"),
        "preview": preview_of(form),
        "not_now": why_not_editable(deployment),
        **more,
    }
    return render(request, "deployments/hibernation/schedule.html", context, status=status)


def _when(request: MemberRequest, deployment: Deployment, form: ScheduleForm) -> dict[str, Any]:
    """What `_when.html` needs: a preset is a button that posts what was typed, and with a script fills in the page at
    hand."""
    preview_url, chosen = deployment.url_for("schedule_preview"), request.POST.get("suggest")
    suggestions = [
        {
            "key": s.key,
            "label": s.label,
            "fill_url": f"{preview_url}?suggest={s.key}",
            "current": s.key == request.GET.get("suggest", chosen),
        }
        for s in schedules.SUGGESTIONS
    ]
    undo_url = f"{preview_url}?suggest="
    return {"form": form, "suggestions": suggestions, "preview_url": preview_url, "undo_url": undo_url}


@require_POST
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def preview(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The schedule in words and its next times, for what is typed so far. With `suggest` in its place the fields,
    filled with that preset, or with the times before. Saves nothing."""
    form = _form(request, deployment)
    if "suggest" not in request.GET:
        shown = {"preview": preview_of(form)}
        return render(request, "deployments/hibernation/_schedule_preview.html", shown)
    replaced = form.suggest(request.GET["suggest"])
    context = {**_when(request, deployment, form), "filled": True, "replaced": replaced}
    return render(request, "deployments/hibernation/_when.html", context)


def preview_of(form: ScheduleForm) -> list[dict[str, Any]]:
    """For both expressions as shown in the form: in words, with the next times in its zone, or what is wrong."""
    zone = str(form["time_zone"].value())
    if zone not in schedules.zones():
        zone = "UTC"
    now = database_now()
    found = []
    for name, title in (("hibernate_cron", "Hibernates"), ("wake_cron", "Wakes up")):
        typed = str(form[name].value() or "")
        line: dict[str, Any] = {"title": title, "zone": zone, "words": "", "times": [], "problem": ""}
        try:
            if typed.strip():
                cron = schedules.clean_cron(typed)
                times = schedules.upcoming(cron, zone, now)
                shown = [
                    {"iso": at.isoformat(), "text": f"{at:%A}, {at.day} {at:%B %Y, %H:%M}"} for at in times
                ]
                line |= {"words": cron_words.words(cron), "times": shown}
        except ValueError as error:
            line["problem"] = str(error)
        found.append(line)
    return found
