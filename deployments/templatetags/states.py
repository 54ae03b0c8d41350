"""How states are drawn: each as a word, an icon of its own shape and a tone, in that order of weight."""

from functools import cache

from django import template
from django.template.loader import render_to_string
from django.urls import reverse
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

register = template.Library()

STEP_WORD = {
    StepState.PENDING: "Not started",
    StepState.RUNNING: "Running",
    StepState.DONE: "Done",
    StepState.FAILED: "Failed, will be tried again",
}

STATUS_SENTENCE = {
    Status.CREATING: "Airflow is being set up.",
    Status.DEPLOYING: "Changes are being applied.",
    Status.HEALTHY: "Every component answers.",
    Status.UNHEALTHY: "A component does not answer. See below which one.",
    Status.HIBERNATING: "Asleep: nothing runs and nothing is lost.",
    Status.UNKNOWN: "Nothing was heard of it for two minutes.",
    Status.DELETING: "Everything of it is being removed.",
    Status.DELETED: "Nothing of it is left.",
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
UNHEARD = "triangle-alert"
STALLED = Appearance("warn", "triangle-alert")


def _unheard(deployment: Deployment, status: Status) -> SafeString:
    """The sign that the word beside it is from before its cluster fell silent; nothing while it is heard."""
    since = deployment.cluster.silent_since
    if since is None or status in {Status.UNKNOWN, Status.DELETED}:
        return SafeString("")
    return format_html('<span class="unheard">{} Not heard for {}</span>', icon(UNHEARD), elapsed(since))


@register.simple_tag
def status_badge(deployment: Deployment) -> SafeString:
    """The badge of a Deployment, a second one when it is stalled, and the way to the reason; the same for every viewer,
    so it may be streamed. What will be stalled in a while asks for itself again then."""
    status = deployment.shown_status
    unheard = _unheard(deployment, status)
    if status in NOTHING_TO_EXPLAIN:
        return format_html("{}{}", badge(status), unheard)
    step_progress = deployment.step_progress
    return format_html(
        '{}{}{}<a class="why" href="{}">Why?<span class="sr"> {} is {}</span></a>{}',
        badge(status),
        unheard,
        _badge(STALLED, "Stalled") if step_progress and step_progress.stalled else "",
        reverse("deployments:why", args=[deployment.release_name]),
        deployment.name,
        status.label,
        ask_again(deployment.badge_url, f"badge-{deployment.pk}", step_progress.due_in)
        if step_progress and step_progress.due_in
        else "",
    )


@register.simple_tag
def ask_again(url: str, target: str, seconds: int) -> SafeString:
    """Has the page fetch a part of itself anew at a known moment. A part that is replaced sooner asks no more."""
    return format_html(
        '<span hidden hx-get="{}" hx-target="#{}" hx-swap="innerHTML" hx-trigger="load delay:{}s"></span>',
        url,
        target,
        seconds,
    )


@register.simple_tag
def component_badge(state: ComponentState | str) -> SafeString:
    """The badge of a component's state."""
    state = ComponentState(state)
    return _badge(COMPONENT_APPEARANCE[state], state.value.capitalize())


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
