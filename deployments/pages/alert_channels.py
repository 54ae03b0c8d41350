"""Pages of the channels of a Workspace: where its alerts are sent."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused
from deployments.actions import alert_channels as actions
from deployments.domain.alert_rules import ChannelKind
from deployments.forms.alerts import ChannelForm
from deployments.models import AlertChannel
from deployments.pages.alerts import workspace_context
from deployments.presenters import alerts as shown
from deployments.queries import alerts as queries
from workspaces.access import MemberRequest, workspace_view
from workspaces.limits import limited
from workspaces.permissions import Permission


@require_GET
@workspace_view(Permission.VIEW)
def alert_channels(request: MemberRequest) -> HttpResponse:
    """Every channel, and the kinds that there are."""
    url = request.workspace.url_for
    context = workspace_context(request, "Channels")
    channels = list(queries.channels_of(request.workspace).prefetch_related("rules"))
    rows = [
        {
            "channel": each,
            "rules": each.rules.all(),
            "edit_url": url("deployments:alert_channel", each.pk),
            "test_url": url("deployments:alert_channel_test", each.pk),
        }
        for each in channels
    ]
    has_admins = any(each.word is ChannelKind.ADMINS for each in channels)
    context |= {
        "rows": rows,
        "kinds": [
            {"label": label, "sentence": sentence, "url": url("deployments:alert_channel_new", word)}
            for word, label, sentence in shown.channel_kinds()
            if not (has_admins and word == ChannelKind.ADMINS)
        ],
    }
    return render(request, "deployments/alerts/channels.html", context)


@sensitive_post_parameters("url")
@require_http_methods(["GET", "POST"])
@workspace_view(Permission.EDIT_WORKSPACE)
def alert_channel_new(request: MemberRequest, kind: str) -> HttpResponse:
    """A new channel. The answer shows the secret of a webhook: this once."""
    if kind not in list(ChannelKind):
        raise Http404
    form = ChannelForm(posted(request), kind=ChannelKind(kind), channel=None)
    if form.is_bound and form.is_valid():
        try:
            made = actions.make_channel(workspace=request.workspace, by=request.user, wish=form.wish())
        except ActionRefused as refused:
            form.refuse(refused)
        else:
            if made.secret:
                return _secret(request, made)
            messages.success(request, f"The channel {made.channel.name} is ready. Send a test to try it.")
            return see_other(_list_url(request))
    return _form_page(request, form, None)


@sensitive_post_parameters("url")
@require_http_methods(["GET", "POST"])
@workspace_view(Permission.EDIT_WORKSPACE)
def alert_channel(request: MemberRequest, channel_id: UUID) -> HttpResponse:
    """Change a channel."""
    channel = _channel(request, channel_id)
    form = ChannelForm(posted(request), kind=channel.word, channel=channel)
    if form.is_bound and form.is_valid():
        try:
            actions.change_channel(
                workspace=request.workspace, by=request.user, pk=channel_id, wish=form.wish()
            )
        except ActionRefused as refused:
            form.refuse(refused)
        else:
            messages.success(request, "The channel is saved.")
            return see_other(_list_url(request))
    return _form_page(request, form, channel)


def _form_page(request: MemberRequest, form: ChannelForm, channel: AlertChannel | None) -> HttpResponse:
    form.ask_again()
    url = request.workspace.url_for
    context: dict[str, Any] = {
        "form": form,
        "channel": channel,
        "kind": form.kind,
        "list_url": _list_url(request),
    }
    if channel is not None:
        context |= {
            "remove_url": url("deployments:alert_channel_remove", channel.pk),
            "secret_url": url("deployments:alert_channel_secret", channel.pk)
            if channel.word is ChannelKind.WEBHOOK
            else "",
            "replacing": shown.REPLACING,
        }
    return render(request, "deployments/alerts/channel.html", context, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@workspace_view(Permission.EDIT_WORKSPACE)
def alert_channel_remove(request: MemberRequest, channel_id: UUID) -> HttpResponse:
    """Say what removing does, then do it."""
    channel = _channel(request, channel_id)
    if request.method == "POST":
        try:
            actions.remove_channel(workspace=request.workspace, by=request.user, pk=channel_id)
        except ActionRefused as refused:
            messages.error(request, refused.sentence)
        else:
            messages.success(request, f"The channel {channel.name} is removed.")
        return see_other(_list_url(request))
    rules = list(channel.rules.select_related("deployment"))
    context = {"channel": channel, "rules": rules, "list_url": _list_url(request)}
    return render(request, "deployments/alerts/channel_remove.html", context)


@require_POST
@limited("alert_test", limit=actions.TEST_RATE[0], seconds=actions.TEST_RATE[1])
@workspace_view(Permission.EDIT_WORKSPACE)
def alert_channel_test(request: MemberRequest, channel_id: UUID) -> HttpResponse:
    """Send a test, and show how it went."""
    try:
        actions.test_channel(workspace=request.workspace, by=request.user, pk=channel_id)
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
        return see_other(_list_url(request))
    messages.success(request, "A test is on its way. What comes back is shown below.")
    return see_other(request.workspace.url_for("deployments:alert_deliveries"))


@require_POST
@workspace_view(Permission.EDIT_WORKSPACE)
def alert_channel_secret(request: MemberRequest, channel_id: UUID) -> HttpResponse:
    """Another secret for a webhook, which this answer alone holds."""
    try:
        made = actions.new_channel_secret(workspace=request.workspace, by=request.user, pk=channel_id)
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
        return see_other(_list_url(request))
    return _secret(request, made)


def _secret(request: MemberRequest, made: actions.MadeChannel) -> HttpResponse:
    context = {"channel": made.channel, "secret": made.secret, "list_url": _list_url(request)}
    return render(request, "deployments/alerts/secret.html", context)


def _channel(request: MemberRequest, pk: UUID) -> AlertChannel:
    channel = queries.channels_of(request.workspace).filter(pk=pk).first()
    if channel is None:
        raise Http404
    return channel


def _list_url(request: MemberRequest) -> str:
    return request.workspace.url_for("deployments:alert_channels")
