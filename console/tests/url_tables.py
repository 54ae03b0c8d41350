"""Who may ask what of which address: every page, with the least role and what is answered then. test_url_roles.py
crosses it with every role, and fails on a URL that is not here."""

ANYONE, MEMBER, EDITOR, ADMIN = 0, 1, 2, 3
LOGIN = "login"  # a redirect to sign-in

# name: (method, needed role, answer when allowed). A stranger gets 404, a member with too small a role 403.
WORKSPACE_URLS = {
    ("deployments:home", "get"): (MEMBER, 200),
    ("deployments:list", "get"): (MEMBER, 200),
    ("deployments:new", "get"): (EDITOR, 200),
    ("deployments:new", "post"): (EDITOR, 422),
    ("deployments:summary", "post"): (EDITOR, 200),
    ("deployments:new_options", "post"): (EDITOR, 200),
    ("deployments:check_name", "post"): (EDITOR, 200),
    ("deployments:activity", "get"): (MEMBER, 200),
    ("deployments:workspace_dags", "get"): (MEMBER, 200),
    ("deployments:activity_csv", "get"): (MEMBER, 200),
    ("deployments:workspace_alerts", "get"): (MEMBER, 200),
    ("deployments:alerts_usual", "post"): (ADMIN, 303),
    ("deployments:alert_deliveries", "get"): (MEMBER, 200),
    ("deployments:alert_rules", "get"): (MEMBER, 200),
    ("deployments:alert_channels", "get"): (MEMBER, 200),
    ("workspace_settings", "get"): (ADMIN, 200),
    ("workspace_settings", "post"): (ADMIN, 422),
    ("workspace_delete", "get"): (ADMIN, 200),
    ("workspace_delete", "post"): (ADMIN, 422),
    ("workspace_leave", "get"): (MEMBER, 200),
    ("workspace_leave", "post"): (MEMBER, 303),
    ("members", "get"): (MEMBER, 200),
    ("members_invite", "get"): (ADMIN, 200),
    ("members_invite", "post"): (ADMIN, 422),
    ("workspace_tokens", "get"): (MEMBER, 200),
    ("workspace_token_new", "get"): (ADMIN, 302),  # to say who one is
    ("workspace_token_new", "post"): (ADMIN, 302),
}
# Those of one member, or of one invitation: a second argument.
MEMBER_URLS = {
    ("member_role", "post"): (ADMIN, 303),
    ("member_remove", "get"): (ADMIN, 200),
    ("member_remove", "post"): (ADMIN, 303),
}
INVITATION_URLS = {
    ("invitation_resend", "post"): (ADMIN, 303),
    ("invitation_link", "post"): (ADMIN, 200),
    ("invitation_revoke", "post"): (ADMIN, 303),
}
TOKEN_URLS = {
    ("workspace_token_rotate", "get"): (ADMIN, 302),
    ("workspace_token_rotate", "post"): (ADMIN, 302),
    ("workspace_token_revoke", "get"): (ADMIN, 200),
    ("workspace_token_revoke", "post"): (ADMIN, 303),
}
# Of alerts: a kind of rule or of channel, or one thing.
ALERT_URLS = {
    ("deployments:alert_rule_new", "get"): (ADMIN, 200),
    ("deployments:alert_rule_new", "post"): (ADMIN, 422),
    ("deployments:alert_channel_new", "get"): (ADMIN, 200),
    ("deployments:alert_channel_new", "post"): (ADMIN, 422),
    ("deployments:alert_rule", "get"): (ADMIN, 200),
    ("deployments:alert_rule", "post"): (ADMIN, 422),
    ("deployments:alert_rule_remove", "post"): (ADMIN, 303),
    ("deployments:alert_channel", "get"): (ADMIN, 200),
    ("deployments:alert_channel", "post"): (ADMIN, 422),
    ("deployments:alert_channel_remove", "get"): (ADMIN, 200),
    ("deployments:alert_channel_remove", "post"): (ADMIN, 303),
    ("deployments:alert_channel_test", "post"): (ADMIN, 303),
    ("deployments:alert_channel_secret", "post"): (ADMIN, 200),
    ("deployments:alert", "get"): (MEMBER, 200),
    ("deployments:alert_silence", "post"): (EDITOR, 303),
    ("deployments:alert_again", "post"): (EDITOR, 303),
}
DEPLOYMENT_URLS = {
    ("deployments:alerts", "get"): (MEMBER, 200),
    ("deployments:alerts_silence", "post"): (EDITOR, 303),
    ("deployments:api_tokens", "get"): (MEMBER, 200),
    ("deployments:api_token_new", "get"): (ADMIN, 302),
    ("deployments:api_token_new", "post"): (ADMIN, 302),
    ("deployments:detail", "get"): (MEMBER, 200),
    ("deployments:live", "get"): (MEMBER, 200),
    ("deployments:figures", "get"): (MEMBER, 204),  # until it was Healthy
    ("deployments:badge", "get"): (MEMBER, 200),
    ("deployments:open", "get"): (MEMBER, 303),  # while it is created, to the page that waits
    ("deployments:open", "post"): (MEMBER, 303),
    ("deployments:token", "get"): (MEMBER, 200),
    ("deployments:token_new", "post"): (MEMBER, 422),
    ("deployments:credential", "post"): (EDITOR, 200),
    ("deployments:retry", "post"): (EDITOR, 303),
    ("deployments:first_steps_done", "post"): (EDITOR, 303),
    ("deployments:dags", "get"): (MEMBER, 200),
    ("deployments:deployment_activity", "get"): (MEMBER, 200),
    ("deployments:deployment_activity_csv", "get"): (MEMBER, 200),
    ("deployments:why", "get"): (MEMBER, 302),
    ("deployments:logs", "get"): (MEMBER, 200),
    ("deployments:task_logs", "get"): (MEMBER, 200),
    ("deployments:log_lines", "get"): (MEMBER, 200),
    ("deployments:log_download", "get"): (MEMBER, 200),
    ("deployments:variables", "get"): (MEMBER, 200),
    ("deployments:variables_download", "get"): (MEMBER, 200),
    ("deployments:variable_new", "get"): (EDITOR, 200),
    ("deployments:variable_new", "post"): (EDITOR, 422),
    ("deployments:variables_import", "get"): (EDITOR, 200),
    ("deployments:variables_import", "post"): (EDITOR, 422),
    ("deployments:variables_delete", "get"): (EDITOR, 303),  # without a choice: back to the list
    ("deployments:variables_delete", "post"): (EDITOR, 303),
    ("deployments:edit", "get"): (EDITOR, 200),  # says that it is You can change it once it is Healthy
    ("deployments:edit", "post"): (EDITOR, 409),
    ("deployments:edit_summary", "post"): (EDITOR, 200),
    ("deployments:queues", "get"): (MEMBER, 200),
    ("deployments:queues_live", "get"): (MEMBER, 200),
    ("deployments:queue_new", "get"): (EDITOR, 200),
    ("deployments:queue_new", "post"): (EDITOR, 409),
    ("deployments:settings", "get"): (EDITOR, 200),
    ("deployments:upgrade", "get"): (EDITOR, 200),
    ("deployments:upgrade", "post"): (EDITOR, 422),
    ("deployments:upgrade_dismiss", "post"): (EDITOR, 303),
    ("deployments:hibernate", "get"): (EDITOR, 200),
    ("deployments:hibernate", "post"): (EDITOR, 303),
    ("deployments:wake", "post"): (EDITOR, 303),
    ("deployments:tasks", "get"): (MEMBER, 200),
    ("deployments:opening", "get"): (MEMBER, 200),
    ("deployments:opening_live", "get"): (MEMBER, 200),
    ("deployments:opening_wake", "post"): (MEMBER, 303),
    ("deployments:schedule", "get"): (EDITOR, 200),
    ("deployments:schedule", "post"): (EDITOR, 422),
    ("deployments:schedule_preview", "post"): (EDITOR, 200),
    ("deployments:deploys", "get"): (MEMBER, 200),
    ("deployments:deploy_new", "get"): (EDITOR, 200),
    ("deployments:deploy_new", "post"): (EDITOR, 422),
    ("deployments:deploy_example", "post"): (EDITOR, 303),
    ("deployments:deploy_image", "get"): (EDITOR, 200),
    ("deployments:deploy_image", "post"): (EDITOR, 422),
    ("deployments:deploy_runtimes_image", "post"): (EDITOR, 303),
    ("deployments:registry_login", "post"): (EDITOR, 422),
    ("deployments:registry_login_remove", "post"): (EDITOR, 303),
    ("deployments:git", "get"): (MEMBER, 200),
    ("deployments:git_live", "get"): (MEMBER, 200),
    ("deployments:git_edit", "get"): (EDITOR, 200),
    ("deployments:git_edit", "post"): (EDITOR, 422),
    ("deployments:git_check", "post"): (EDITOR, 303),
    ("deployments:git_deploy", "post"): (EDITOR, 303),
    ("deployments:git_host_key", "post"): (EDITOR, 303),
    ("deployments:git_secret", "post"): (EDITOR, 303),
    ("deployments:git_disconnect", "get"): (EDITOR, 303),
    ("deployments:git_disconnect", "post"): (EDITOR, 303),
    ("deployments:transfer", "get"): (ADMIN, 200),
    ("deployments:transfer", "post"): (ADMIN, 422),
    ("deployments:delete", "get"): (EDITOR, 200),
    ("deployments:delete", "post"): (EDITOR, 422),
}
# Those of one thing of a Deployment: a second argument.
VARIABLE_URLS = {
    ("deployments:variable_edit", "get"): (EDITOR, 200),
    ("deployments:variable_edit", "post"): (EDITOR, 422),
}
DRAFT_URLS = {  # a draft is its author's own; another's, or none, has expired
    ("deployments:variables_draft", "get"): (EDITOR, 410),
    ("deployments:variables_draft", "post"): (EDITOR, 410),
}
UPLOAD_URLS = {  # as a draft
    ("deployments:deploy_upload", "get"): (EDITOR, 410),
    ("deployments:deploy_upload", "post"): (EDITOR, 410),
}
DEPLOY_URLS = {
    ("deployments:deploy", "get"): (MEMBER, 200),
    ("deployments:deploy_back", "get"): (EDITOR, 200),
    ("deployments:deploy_back", "post"): (EDITOR, 422),
    ("deployments:deploy_anyway", "post"): (EDITOR, 303),
}
REVISION_URLS = {
    ("deployments:variables_revision", "get"): (EDITOR, 200),
    ("deployments:variables_revision", "post"): (EDITOR, 409),  # while it is created
}
DEPLOYMENT_TOKEN_URLS = {
    ("deployments:api_token_rotate", "get"): (ADMIN, 302),
    ("deployments:api_token_rotate", "post"): (ADMIN, 302),
    ("deployments:api_token_revoke", "get"): (ADMIN, 200),
    ("deployments:api_token_revoke", "post"): (ADMIN, 303),
}
SETTING_URLS = {
    ("deployments:opening_wakes", "post"): (EDITOR, 303),
}
COMPONENT_URLS = {
    ("deployments:component", "get"): (MEMBER, 200),
    ("deployments:component_now", "get"): (MEMBER, 200),
}
QUEUE_URLS = {  # while it is created they say so
    ("deployments:queue_edit", "get"): (EDITOR, 200),
    ("deployments:queue_edit", "post"): (EDITOR, 409),
    ("deployments:queue_delete", "get"): (EDITOR, 200),
    ("deployments:queue_delete", "post"): (EDITOR, 409),
}
OWN_RULE_URLS = {
    ("deployments:own_rule", "get"): (EDITOR, 200),
    ("deployments:own_rule", "post"): (EDITOR, 422),
    ("deployments:own_rule_remove", "post"): (EDITOR, 303),
}
OWN_RULE_KIND_URLS = {
    ("deployments:own_rule_new", "get"): (EDITOR, 200),
    ("deployments:own_rule_new", "post"): (EDITOR, 422),
}
WRONG_METHOD = {
    ("deployments:workspace_alerts", "post"),
    ("deployments:alerts_usual", "get"),
    ("deployments:alert_deliveries", "post"),
    ("deployments:alert_rules", "post"),
    ("deployments:alert_channels", "post"),
    ("deployments:alert_rule_remove", "get"),
    ("deployments:alert_channel_test", "get"),
    ("deployments:alert_channel_secret", "get"),
    ("deployments:alert", "post"),
    ("deployments:alert_silence", "get"),
    ("deployments:alert_again", "get"),
    ("deployments:alerts", "post"),
    ("deployments:alerts_silence", "get"),
    ("deployments:own_rule_remove", "get"),
    ("deployments:edit_summary", "get"),
    ("deployments:queues", "post"),
    ("deployments:queues_live", "post"),
    ("deployments:why", "post"),
    ("deployments:logs", "post"),
    ("deployments:task_logs", "post"),
    ("deployments:log_lines", "post"),
    ("deployments:log_download", "post"),
    ("deployments:component", "post"),
    ("deployments:component_now", "post"),
    ("deployments:variables", "post"),
    ("deployments:variables_download", "post"),
    ("deployments:home", "post"),
    ("deployments:list", "post"),
    ("deployments:summary", "get"),
    ("deployments:check_name", "get"),
    ("deployments:detail", "post"),
    ("deployments:live", "post"),
    ("deployments:figures", "post"),
    ("deployments:token", "post"),
    ("deployments:token_new", "get"),
    ("deployments:credential", "get"),
    ("deployments:retry", "get"),
    ("deployments:first_steps_done", "get"),
    ("deployments:wake", "get"),
    ("deployments:deploys", "post"),
    ("deployments:deploy", "post"),
    ("deployments:deploy_example", "get"),
    ("deployments:deploy_anyway", "get"),
    ("deployments:git", "post"),
    ("deployments:git_live", "post"),
    ("deployments:git_check", "get"),
    ("deployments:git_deploy", "get"),
    ("deployments:git_host_key", "get"),
    ("deployments:git_secret", "get"),
    ("deployments:git_hook", "get"),
    ("deployments:tasks", "post"),
    ("deployments:opening", "post"),
    ("deployments:opening_live", "post"),
    ("deployments:opening_wake", "get"),
    ("deployments:opening_wakes", "get"),
    ("deployments:schedule_preview", "get"),
    ("deployments:settings", "post"),
    ("deployments:dags", "post"),
    ("deployments:workspace_dags", "post"),
    ("deployments:activity", "post"),
    ("deployments:activity_csv", "post"),
    ("deployments:deployment_activity", "post"),
    ("deployments:deployment_activity_csv", "post"),
    ("members", "post"),
    ("workspace_tokens", "post"),
    ("deployments:api_tokens", "post"),
    ("member_role", "get"),
    ("invitation_resend", "get"),
    ("invitation_link", "get"),
    ("invitation_revoke", "get"),
}
SIGNED_IN = {
    "search": 200,
    "search_keys": 200,
    "own_tokens": 200,
    "own_token_new": 302,
    "idp:oidc:device_authorization": 302,
    "account": 200,
    "account_delete": 200,
    "workspace_new": 200,
    "invitations": 200,
}
OWN_TOKENS = {
    "own_token_rotate",
    "own_token_revoke",
}  # one's own alone: workspaces/tests/pages/test_tokens.py
# Open to whoever holds the link, or has the invited address: workspaces/tests/test_invitations.py.
INVITED = {"invitation", "invitation_ask", "invitation_accept", "invitation_decline"}
PUBLIC = {
    "home": 302,
    "health_live": 200,
    "health_ready": 200,
    "docs": 200,
    "api_reference": 200,
    "openapi": 200,
}
# Of the console as a provider: workspaces/tests/pages/test_devices.py, test_identity.py.
IDENTITY = {
    "idp:oidc:authorization",
    "idp:oidc:configuration",
    "idp:oidc:device_code",
    "idp:oidc:jwks",
    "idp:oidc:logout",
    "idp:oidc:revoke",
    "idp:oidc:token",
    "idp:oidc:userinfo",
}
OWN = {"session_end"}  # one's own alone: workspaces/tests/pages/test_sessions.py
STREAM = {"deployments:stream"}
PARTS = (
    QUEUE_URLS,
    VARIABLE_URLS,
    DRAFT_URLS,
    REVISION_URLS,
    COMPONENT_URLS,
    UPLOAD_URLS,
    DEPLOY_URLS,
    DEPLOYMENT_TOKEN_URLS,
    SETTING_URLS,
    OWN_RULE_URLS,
    OWN_RULE_KIND_URLS,
)
ALL_URLS = {**WORKSPACE_URLS, **MEMBER_URLS, **INVITATION_URLS, **TOKEN_URLS, **ALERT_URLS, **DEPLOYMENT_URLS}
ALL_URLS |= {key: each for table in PARTS for key, each in table.items()}
ACCOUNTS = ("account_", "mfa_", "usersessions_")  # allauth's own, tested by it; ours are the templates
# test_url_roles_admin.py; routed for developers only; test_docs.py; a signature is what counts: tests/git/test_hook.py.
# Those of the JSON API: api/test_url_api.py
ELSEWHERE = {"admin", "gallery", "docs_page", "deployments:git_hook"}
