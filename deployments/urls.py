"""Site map of Deployments."""

from django.urls import path

from deployments import queries, views, views_activity
from workspaces.stream import stream

app_name = "deployments"
urlpatterns = [
    path("w/<uuid:workspace_id>/deployments/", views.deployment_list, name="list"),
    path("w/<uuid:workspace_id>/deployments/new/", views.new_deployment, name="new"),
    path("w/<uuid:workspace_id>/deployments/new/summary/", views.summary, name="summary"),
    path("w/<uuid:workspace_id>/activity/", views_activity.workspace_activity, name="activity"),
    path("w/<uuid:workspace_id>/activity/csv/", views_activity.workspace_activity_csv, name="activity_csv"),
    path("w/<uuid:workspace_id>/stream/", stream, {"changed_since": queries.changed_since}, name="stream"),
    path("deployments/<slug:release_name>/", views.detail, name="detail"),
    path("deployments/<slug:release_name>/live/", views.live, name="live"),
    path("deployments/<slug:release_name>/badge/", views.badge, name="badge"),
    path("deployments/<slug:release_name>/credential/", views.credential, name="credential"),
    path("deployments/<slug:release_name>/retry/", views.retry, name="retry"),
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
    path("deployments/<slug:release_name>/settings/", views.settings, name="settings"),
    path("deployments/<slug:release_name>/delete/", views.delete, name="delete"),
]
