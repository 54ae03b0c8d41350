"""Site map of accounts and Workspaces."""

from django.urls import path

from workspaces import views

urlpatterns = [
    path("account/", views.account, name="account"),
    path("workspaces/new/", views.new_workspace, name="workspace_new"),
    path("w/<uuid:workspace_id>/settings/", views.workspace_settings, name="workspace_settings"),
]
