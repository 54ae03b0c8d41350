"""Site map of accounts, Workspaces and their people."""

from django.urls import path

from workspaces.pages import account, invitations, members, tokens, workspaces

workspace = "w/<uuid:workspace_id>"
urlpatterns = [
    path("account/", account.account, name="account"),
    path("account/sessions/<int:session_id>/end/", account.end_session, name="session_end"),
    path("account/delete/", account.delete, name="account_delete"),
    path("workspaces/new/", workspaces.new_workspace, name="workspace_new"),
    path(f"{workspace}/settings/", workspaces.workspace_settings, name="workspace_settings"),
    path(f"{workspace}/delete/", workspaces.delete_workspace, name="workspace_delete"),
    # Members
    path(f"{workspace}/members/", members.member_list, name="members"),
    path(f"{workspace}/members/invite/", members.invite, name="members_invite"),
    path(f"{workspace}/members/<int:user_id>/role/", members.change_role, name="member_role"),
    path(f"{workspace}/members/<int:user_id>/remove/", members.remove, name="member_remove"),
    path(f"{workspace}/leave/", members.leave, name="workspace_leave"),
    path(
        f"{workspace}/invitations/<uuid:invitation_id>/resend/",
        members.resend,
        name="invitation_resend",
    ),
    path(
        f"{workspace}/invitations/<uuid:invitation_id>/link/",
        members.show_link,
        name="invitation_link",
    ),
    path(
        f"{workspace}/invitations/<uuid:invitation_id>/revoke/",
        members.revoke,
        name="invitation_revoke",
    ),
    # API tokens
    path(f"{workspace}/tokens/", tokens.workspace_tokens, name="workspace_tokens"),
    path(f"{workspace}/tokens/new/", tokens.workspace_token_new, name="workspace_token_new"),
    path(
        f"{workspace}/tokens/<uuid:token_id>/rotate/",
        tokens.workspace_token_rotate,
        name="workspace_token_rotate",
    ),
    path(
        f"{workspace}/tokens/<uuid:token_id>/revoke/",
        tokens.workspace_token_revoke,
        name="workspace_token_revoke",
    ),
    path("account/tokens/", tokens.own_tokens, name="own_tokens"),
    path("account/tokens/new/", tokens.own_token_new, name="own_token_new"),
    path("account/tokens/<uuid:token_id>/rotate/", tokens.own_token_rotate, name="own_token_rotate"),
    path("account/tokens/<uuid:token_id>/revoke/", tokens.own_token_revoke, name="own_token_revoke"),
    # The invited
    path("invitations/", invitations.mine, name="invitations"),
    path("invitations/<uuid:invitation_id>/accept/", invitations.accept_mine, name="invitation_accept"),
    path("invitations/<uuid:invitation_id>/decline/", invitations.decline_mine, name="invitation_decline"),
    path("join/<str:token>/", invitations.invitation, name="invitation"),
    path("join/<str:token>/ask/", invitations.ask, name="invitation_ask"),
]
