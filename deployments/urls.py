"""Site map of Deployments."""

from django.urls import path

from deployments import (
    queries,
    views,
    views_activity,
    views_components,
    views_editing,
    views_logs,
    views_queues,
    views_variables,
)
from deployments.urls_running import urls as running_urls
from workspaces.stream import stream

app_name = "deployments"
urlpatterns = [
    path("w/<uuid:workspace_id>/deployments/", views.deployment_list, name="list"),
    path("w/<uuid:workspace_id>/deployments/new/", views.new_deployment, name="new"),
    path("w/<uuid:workspace_id>/deployments/new/summary/", views.summary, name="summary"),
    path("w/<uuid:workspace_id>/deployments/new/options/", views.new_options, name="new_options"),
    path("w/<uuid:workspace_id>/activity/", views_activity.workspace_activity, name="activity"),
    path("w/<uuid:workspace_id>/activity/csv/", views_activity.workspace_activity_csv, name="activity_csv"),
    path("w/<uuid:workspace_id>/stream/", stream, {"changed_since": queries.changed_since}, name="stream"),
    path("deployments/<slug:release_name>/", views.detail, name="detail"),
    path("deployments/<slug:release_name>/live/", views.live, name="live"),
    path("deployments/<slug:release_name>/badge/", views.badge, name="badge"),
    path("deployments/<slug:release_name>/credential/", views.credential, name="credential"),
    path("deployments/<slug:release_name>/retry/", views.retry, name="retry"),
    path("deployments/<slug:release_name>/why/", views_components.why, name="why"),
    path(
        "deployments/<slug:release_name>/components/<str:name>/", views_components.component, name="component"
    ),
    path(
        "deployments/<slug:release_name>/components/<str:name>/now/",
        views_components.component_now,
        name="component_now",
    ),
    path("deployments/<slug:release_name>/logs/", views_logs.log_page, name="logs"),
    path("deployments/<slug:release_name>/logs/lines/", views_logs.log_lines, name="log_lines"),
    path("deployments/<slug:release_name>/logs/download/", views_logs.log_download, name="log_download"),
    path(
        "deployments/<slug:release_name>/activity/",
        views_activity.deployment_activity,
        name="deployment_activity",
    ),
    path(
        "deployments/<slug:release_name>/activity/csv/",
        views_activity.deployment_activity_csv,
        name="deployment_activity_csv",
    ),
    path("deployments/<slug:release_name>/variables/", views_variables.variable_list, name="variables"),
    path("deployments/<slug:release_name>/variables/new/", views_variables.variable_new, name="variable_new"),
    path(
        "deployments/<slug:release_name>/variables/download/",
        views_variables.variables_download,
        name="variables_download",
    ),
    path(
        "deployments/<slug:release_name>/variables/delete/",
        views_variables.variables_delete,
        name="variables_delete",
    ),
    path(
        "deployments/<slug:release_name>/variables/import/",
        views_variables.variables_import,
        name="variables_import",
    ),
    path(
        "deployments/<slug:release_name>/variables/import/<uuid:token>/",
        views_variables.variables_draft,
        name="variables_draft",
    ),
    path(
        "deployments/<slug:release_name>/variables/revisions/<int:number>/",
        views_variables.variables_revision,
        name="variables_revision",
    ),
    path(
        "deployments/<slug:release_name>/variables/edit/<slug:key>/",
        views_variables.variable_edit,
        name="variable_edit",
    ),
    path("deployments/<slug:release_name>/edit/", views_editing.edit, name="edit"),
    path("deployments/<slug:release_name>/edit/summary/", views_editing.edit_summary, name="edit_summary"),
    path("deployments/<slug:release_name>/queues/", views_queues.queues, name="queues"),
    path("deployments/<slug:release_name>/queues/live/", views_queues.queues_live, name="queues_live"),
    path("deployments/<slug:release_name>/queues/new/", views_queues.queue_new, name="queue_new"),
    path(
        "deployments/<slug:release_name>/queues/edit/<slug:queue>/",
        views_queues.queue_edit,
        name="queue_edit",
    ),
    path(
        "deployments/<slug:release_name>/queues/delete/<slug:queue>/",
        views_queues.queue_delete,
        name="queue_delete",
    ),
    path("deployments/<slug:release_name>/settings/", views.settings, name="settings"),
    path("deployments/<slug:release_name>/delete/", views.delete, name="delete"),
    *running_urls,
]
