"""Site map of Deployments."""

from django.urls import path

from deployments.pages import (
    activity,
    components,
    create,
    delete,
    deploys,
    hibernation,
    listing,
    logs,
    overview,
    queues,
    settings,
    tokens,
    transfer,
    upgrade,
    variables,
)
from deployments.queries.listing import changed_since
from workspaces.stream import stream

WORKSPACE = "w/<uuid:workspace_id>"
ONE = "deployments/<slug:release_name>"

app_name = "deployments"
urlpatterns = [
    path(f"{WORKSPACE}/deployments/", listing.deployment_list, name="list"),
    path(f"{WORKSPACE}/deployments/new/", create.new_deployment, name="new"),
    path(f"{WORKSPACE}/deployments/new/summary/", create.summary, name="summary"),
    path(f"{WORKSPACE}/deployments/new/options/", create.new_options, name="new_options"),
    path(f"{WORKSPACE}/activity/", activity.workspace_activity, name="activity"),
    path(f"{WORKSPACE}/activity/csv/", activity.workspace_activity_csv, name="activity_csv"),
    path(f"{WORKSPACE}/stream/", stream, {"changed_since": changed_since}, name="stream"),
    path(f"{ONE}/", overview.detail, name="detail"),
    path(f"{ONE}/live/", overview.live, name="live"),
    path(f"{ONE}/badge/", overview.badge, name="badge"),
    path(f"{ONE}/first-steps/", overview.first_steps_done, name="first_steps_done"),
    path(f"{ONE}/credential/", overview.credential, name="credential"),
    path(f"{ONE}/retry/", overview.retry, name="retry"),
    path(f"{ONE}/why/", components.why, name="why"),
    path(f"{ONE}/components/<str:name>/", components.component, name="component"),
    path(
        f"{ONE}/components/<str:name>/now/",
        components.component_now,
        name="component_now",
    ),
    path(f"{ONE}/logs/", logs.log_page, name="logs"),
    path(f"{ONE}/logs/lines/", logs.log_lines, name="log_lines"),
    path(f"{ONE}/logs/download/", logs.log_download, name="log_download"),
    path(
        f"{ONE}/activity/",
        activity.deployment_activity,
        name="deployment_activity",
    ),
    path(
        f"{ONE}/activity/csv/",
        activity.deployment_activity_csv,
        name="deployment_activity_csv",
    ),
    path(f"{ONE}/variables/", variables.variable_list, name="variables"),
    path(f"{ONE}/variables/new/", variables.variable_new, name="variable_new"),
    path(
        f"{ONE}/variables/download/",
        variables.variables_download,
        name="variables_download",
    ),
    path(
        f"{ONE}/variables/delete/",
        variables.variables_delete,
        name="variables_delete",
    ),
    path(
        f"{ONE}/variables/import/",
        variables.variables_import,
        name="variables_import",
    ),
    path(
        f"{ONE}/variables/import/<uuid:token>/",
        variables.variables_draft,
        name="variables_draft",
    ),
    path(
        f"{ONE}/variables/revisions/<int:number>/",
        variables.variables_revision,
        name="variables_revision",
    ),
    path(
        f"{ONE}/variables/edit/<slug:key>/",
        variables.variable_edit,
        name="variable_edit",
    ),
    path(f"{ONE}/edit/", settings.edit, name="edit"),
    path(f"{ONE}/edit/summary/", settings.edit_summary, name="edit_summary"),
    path(f"{ONE}/queues/", queues.queues, name="queues"),
    path(f"{ONE}/queues/live/", queues.queues_live, name="queues_live"),
    path(f"{ONE}/queues/new/", queues.queue_new, name="queue_new"),
    path(
        f"{ONE}/queues/edit/<slug:queue>/",
        queues.queue_edit,
        name="queue_edit",
    ),
    path(
        f"{ONE}/queues/delete/<slug:queue>/",
        queues.queue_delete,
        name="queue_delete",
    ),
    path(f"{ONE}/settings/", settings.settings, name="settings"),
    path(f"{ONE}/delete/", delete.delete, name="delete"),
    path(f"{ONE}/upgrade/", upgrade.upgrade, name="upgrade"),
    path(f"{ONE}/upgrade/dismiss/", upgrade.dismiss_failed_upgrade, name="upgrade_dismiss"),
    path(f"{ONE}/hibernate/", hibernation.hibernate, name="hibernate"),
    path(f"{ONE}/wake/", hibernation.wake, name="wake"),
    path(f"{ONE}/tasks/", components.tasks, name="tasks"),
    path(f"{ONE}/schedule/", hibernation.schedule, name="schedule"),
    path(f"{ONE}/schedule/preview/", hibernation.preview, name="schedule_preview"),
    path(f"{ONE}/transfer/", transfer.transfer, name="transfer"),
    path(f"{ONE}/tokens/", tokens.token_list, name="tokens"),
    path(f"{ONE}/tokens/new/", tokens.token_new, name="token_new"),
    path(f"{ONE}/tokens/<uuid:token_id>/rotate/", tokens.token_rotate, name="token_rotate"),
    path(f"{ONE}/tokens/<uuid:token_id>/revoke/", tokens.token_revoke, name="token_revoke"),
    path(f"{ONE}/deploys/", deploys.deploy_list, name="deploys"),
    path(f"{ONE}/deploys/new/", deploys.deploy_new, name="deploy_new"),
    path(f"{ONE}/deploys/new/<uuid:key>/", deploys.deploy_upload, name="deploy_upload"),
    path(f"{ONE}/deploys/example/", deploys.deploy_example, name="deploy_example"),
    path(f"{ONE}/deploys/<int:number>/", deploys.deploy, name="deploy"),
    path(f"{ONE}/deploys/<int:number>/live/", deploys.deploy_live, name="deploy_live"),
    path(f"{ONE}/deploys/<int:number>/back/", deploys.deploy_back, name="deploy_back"),
    path(f"{ONE}/deploys/<int:number>/anyway/", deploys.deploy_anyway, name="deploy_anyway"),
]
