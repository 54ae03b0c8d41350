"""How states are drawn: each as a word, an icon of its own shape and a tone, in that order of weight."""

from functools import cache

from django import template
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console.kit.templatetags.ui import elapsed, icon
from deployments.domain.component_titles import heading
from deployments.domain.states import (
    COMPONENT_APPEARANCE,
    STATUS_APPEARANCE,
    STEP_APPEARANCE,
    Appearance,
    ComponentState,
    Status,
    StepState,
)
from deployments.models import Deployment
from deployments.queries.durations import BUSY, STOPPING, WAKING_UP

register = template.Library()

STEP_WORD = {
    StepState.PENDING: "Not started",
    StepState.RUNNING: "Running",
    StepState.DONE: "Done",
    StepState.FAILED: "Failed, retrying",
}

STATUS_SENTENCE = {
    Status.CREATING: "Airflow is being set up.",
    Status.DEPLOYING: "Changes are being applied.",
    Status.HEALTHY: "All components are healthy.",
    Status.UNHEALTHY: "A component is not responding. See below which one.",
    Status.HIBERNATING: "Hibernating: nothing runs and no data is lost.",
    Status.UNKNOWN: "No data for two minutes.",
    Status.DELETING: "Everything is being removed.",
    Status.DELETED: "Everything was removed.",
}


@cache  # a list shows hundreds of a dozen badges
def _badge(appearance: Appearance, label: str) -> SafeString:
    context = {
        "tone": appearance.tone,
        "icon": appearance.icon,
        "label": label,
        "turns": appearance.icon == "loader-circle",
    }
    return render_to_string("ui/badge.html", context)


@register.simple_tag
def badge(status: Status | str) -> SafeString:
    """The badge of a Deployment's status; the same for every viewer, so it may be streamed."""
    status = Status(status)
    return _badge(STATUS_APPEARANCE[status], status.label)


NOTHING_TO_EXPLAIN = {Status.HEALTHY, Status.HIBERNATING, Status.DELETED}
SILENT = "triangle-alert"
STALLED = Appearance("warn", "triangle-alert")
FAILING = Appearance("bad", "octagon-x")
PHASE_APPEARANCE = {
    STOPPING: Appearance("busy", "moon"),
    WAKING_UP: Appearance("busy", "loader-circle"),
}


@register.filter
def stage(deployment: Deployment) -> str:
    """What the head, the menu and the configuration of a Deployment's pages depend on, beside the reader's role: a page
    that was drawn at another stage is out of date."""
    words = [str(deployment.generation)]
    if deployment.deleted_at is not None:
        words.append("deleted")
    elif deployment.is_deleting:
        words.append("deleting")
    elif deployment.first_healthy_at is None:
        words.append("creating")
    words += ["asleep"] if deployment.hibernating else []
    words += ["not-upgraded"] if deployment.upgrade_error else []
    words += ["failing"] if deployment.failures else []
    words += ["busy"] if deployment.shown_status in BUSY else []
    return "-".join(words)


def _silent(deployment: Deployment, status: Status) -> SafeString:
    """The sign that the word beside it is from before its cluster fell silent; nothing while it answers."""
    since = deployment.cluster.silent_since
    if since is None or status in {Status.UNKNOWN, Status.DELETED}:
        return SafeString("")
    return format_html('<span class="silent">{} No news for {}</span>', icon(SILENT), elapsed(since))


@register.simple_tag
def status_badge(deployment: Deployment, staged: bool = False) -> SafeString:
    """The badge of a Deployment, a second one when it is stalled, and the way to the reason; the same for every viewer,
    so it may be streamed. What will be stalled in a while asks for itself again then. With `staged`, it also gives the
    page at which stage the Deployment is."""
    stage_mark = format_html('<span hidden data-stage-now="{}"></span>', stage(deployment)) if staged else ""
    status = deployment.shown_status
    silent = _silent(deployment, status)
    if status in NOTHING_TO_EXPLAIN:
        return format_html("{}{}{}", badge(status), silent, stage_mark)
    step_progress = deployment.step_progress
    return format_html(
        '{}{}{}{}<a class="why" href="{}">Why?<span class="sr"> {} is {}</span></a>{}{}',
        _badge(PHASE_APPEARANCE.get(deployment.phase, STATUS_APPEARANCE[status]), deployment.shown_label),
        silent,
        _badge(FAILING, "Failing") if deployment.failing else "",
        _badge(STALLED, "Stalled") if step_progress and step_progress.stalled else "",
        deployment.url_for("why"),
        deployment.name,
        deployment.shown_label,
        ask_again(deployment.badge_url, f"badge-{deployment.pk}", step_progress.due_in)
        if step_progress and step_progress.due_in
        else "",
        stage_mark,
    )


@register.simple_tag
def ask_again(url: str, target: str, seconds: int) -> SafeString:
    """Has the page fetch a part of itself again at a known moment. A part that is replaced sooner asks no more."""
    return format_html(
        '<span hidden hx-get="{}" hx-target="#{}" hx-trigger="load delay:{}s"></span>',
        url,
        target,
        seconds,
    )


@register.simple_tag
def component_badge(state: ComponentState | str) -> SafeString:
    """The badge of a component's state."""
    state = ComponentState(state)
    return _badge(COMPONENT_APPEARANCE[state], state.value.capitalize())


@register.simple_tag
def step_badge(state: StepState | str) -> SafeString:
    """The badge of a step's state."""
    state = StepState(state)
    return _badge(STEP_APPEARANCE[state], STEP_WORD[state])


register.filter("component_name", heading)


@register.simple_tag
def step_icon(state: StepState | str) -> SafeString:
    """The icon of a step's state. The word for it is `step_word`."""
    return icon(STEP_APPEARANCE[StepState(state)].icon, turns=StepState(state) is StepState.RUNNING)


@register.filter
def step_tone(state: StepState | str) -> str:
    """The tone of a step's state."""
    return STEP_APPEARANCE[StepState(state)].tone


@register.filter
def step_word(state: StepState | str) -> str:
    """A step's state in words, for those who do not see its icon."""
    return STEP_WORD[StepState(state)]


@register.filter
def tone(status: Status | str) -> str:
    """The tone of a Deployment's status."""
    return STATUS_APPEARANCE[Status(status)].tone


@register.filter
def sentence(status: Status | str) -> str:
    """What a status means, for when no reason says more."""
    return STATUS_SENTENCE[Status(status)]
