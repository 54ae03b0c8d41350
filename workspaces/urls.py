"""Site map of accounts, Workspaces and their people."""

from django.urls import path

from workspaces import views, views_account, views_invitations, views_members

workspace = "w/<uuid:workspace_id>"
urlpatterns = [
    path("account/", views_account.account, name="account"),
    path("account/delete/", views_account.delete, name="account_delete"),
    path("workspaces/new/", views.new_workspace, name="workspace_new"),
    path(f"{workspace}/settings/", views.workspace_settings, name="workspace_settings"),
    path(f"{workspace}/delete/", views.delete_workspace, name="workspace_delete"),
    # Members
    path(f"{workspace}/members/", views_members.member_list, name="members"),
    path(f"{workspace}/members/invite/", views_members.invite, name="members_invite"),
    path(f"{workspace}/members/<int:user_id>/role/", views_members.change_role, name="member_role"),
    path(f"{workspace}/members/<int:user_id>/remove/", views_members.remove, name="member_remove"),
    path(f"{workspace}/leave/", views_members.leave, name="workspace_leave"),
    path(
        f"{workspace}/invitations/<uuid:invitation_id>/resend/",
        views_members.resend,
        name="invitation_resend",
    ),
    path(
        f"{workspace}/invitations/<uuid:invitation_id>/revoke/",
        views_members.revoke,
        name="invitation_revoke",
    ),
    # The invited
    path("invitations/", views_invitations.mine, name="invitations"),
    path("invitations/<uuid:invitation_id>/accept/", views_invitations.accept_mine, name="invitation_accept"),
    path(
        "invitations/<uuid:invitation_id>/decline/", views_invitations.decline_mine, name="invitation_decline"
    ),
    path("join/<str:token>/", views_invitations.invitation, name="invitation"),
    path("join/<str:token>/ask/", views_invitations.ask, name="invitation_ask"),
]
