"""People, Workspaces and what was done, for operators."""

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from workspaces import hooks
from workspaces.actions import operators
from workspaces.models import AuditEvent, Invitation, Membership, User, Workspace
from workspaces.operator_site import OperatorAdmin, button, export_csv, list_link


@admin.register(User)
class UserAdmin(OperatorAdmin):
    """Accounts. Password hashes are in no field here."""

    audited_as = "user"
    list_display = ("email", "name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff")
    date_hierarchy = "date_joined"
    ordering = ("email",)
    search_fields = ("email", "name")
    search_help_text = "Search by email address or name."
    fields = (
        "email",
        "name",
        "is_active",
        "is_staff",
        "time_zone",
        "date_joined",
        "last_login",
        "in_workspaces",
        "what_they_did",
    )
    csv_fields = ("email", "name", "is_active", "is_staff", "date_joined", "last_login")
    actions = (
        button(
            "Block",
            lambda user, by: operators.block_user(user=user, by=by),
            ask="They can no longer sign in, and are signed out with their next click. Memberships stay.",
        ),
        button("Unblock", lambda user, by: operators.unblock_user(user=user, by=by)),
        button(
            "Make site administrator",
            lambda user, by: operators.make_operator(user=user, by=by),
            ask="Site administrators see everything here and may press every button.",
        ),
        button(
            "Take site administration away",
            lambda user, by: operators.unmake_operator(user=user, by=by),
            ask="They keep their account and their Workspaces, and can no longer open these pages.",
        ),
        export_csv,
    )

    @admin.display(description="Workspaces")
    def in_workspaces(self, user: User) -> SafeString:
        """How many, with a link to the list."""
        return list_link(Membership, user.memberships.count(), user__id__exact=user.pk)

    @admin.display(description="Acts")
    def what_they_did(self, user: User) -> SafeString:
        """A link to their audit events."""
        return list_link(AuditEvent, "Their actions", actor_id__exact=user.pk)


@admin.register(Workspace)
class WorkspaceAdmin(OperatorAdmin):
    """Workspaces, to be suspended and resumed."""

    audited_as = "workspace"
    list_display = ("name", "id", "created_at", "suspended_at")
    list_filter = (("suspended_at", admin.EmptyFieldListFilter),)
    date_hierarchy = "created_at"
    search_fields = ("name", "id")
    search_help_text = "Search by name or id."
    fields = ("name", "id", "created_at", "suspended_at", "people", "contents", "activity")
    csv_fields = ("id", "name", "created_at", "suspended_at")
    actions = (
        button(
            "Suspend",
            lambda workspace, by: operators.suspend_workspace(workspace=workspace, by=by),
            ask="Its people see everything and can change nothing: no Deployment, no member, no setting. "
            "Deployments keep running. It can be resumed at any time.",
        ),
        button("Resume", lambda workspace, by: operators.resume_workspace(workspace=workspace, by=by)),
        export_csv,
    )

    @admin.display(description="Members")
    def people(self, workspace: Workspace) -> SafeString:
        """How many, with a link to the list."""
        return list_link(Membership, workspace.memberships.count(), workspace__id__exact=workspace.pk)

    @admin.display(description="What is in it")
    def contents(self, workspace: Workspace) -> SafeString:
        """How many of each kind, with links to their lists."""
        found = hooks.summaries(workspace)
        return format_html_join(", ", '<a href="{}">{}</a>', ((each.url, each.words) for each in found))

    @admin.display(description="Activity")
    def activity(self, workspace: Workspace) -> SafeString:
        """A link to everything that was done in it."""
        return list_link(AuditEvent, "Audit log", workspace_id__exact=workspace.pk)


@admin.register(Membership)
class MembershipAdmin(OperatorAdmin):
    """Who belongs to which Workspace. Changed by the Workspace's Admins."""

    list_display = ("user", "workspace", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "workspace")
    date_hierarchy = "created_at"
    ordering = ("-pk",)
    search_fields = ("user__email", "user__name", "workspace__name")
    search_help_text = "Search by the person's email address or name, or by Workspace."
    fields = ("user", "workspace", "role", "created_at")
    csv_fields = ("workspace__name", "user__email", "role", "created_at")
    actions = (export_csv,)


@admin.register(Invitation)
class InvitationAdmin(OperatorAdmin):
    """Who was invited, and how the mail went. Made, resent and revoked by the Workspace's Admins; neither the links
    nor their hashes are shown."""

    audited_as = "invitation"
    list_display = ("email", "workspace", "role", "created_at", "expires_at", "accepted_at", "mail_state")
    list_filter = ("mail_state", "role", ("accepted_at", admin.EmptyFieldListFilter))
    list_select_related = ("workspace",)
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-pk")
    search_fields = ("email", "workspace__name")
    search_help_text = "Search by email address or Workspace."
    fields = (
        "email",
        "workspace",
        "role",
        "invited_by",
        "created_at",
        "expires_at",
        "accepted_at",
        "accepted_by",
        "revoked_at",
        "asked_at",
        "last_sent_at",
        "mail_state",
        "mail_sentence",
        "mail_tries",
    )
    csv_fields = ("email", "workspace__name", "role", "created_at", "expires_at", "accepted_at", "mail_state")
    actions = (export_csv,)


@admin.register(AuditEvent)
class AuditEventAdmin(OperatorAdmin):
    """Who did what to what, and when. Append-only."""

    list_display = ("at", "actor_label", "verb", "object_type", "object_label", "ip")
    list_filter = (("object_type", admin.AllValuesFieldListFilter),)
    date_hierarchy = "at"
    ordering = ("-at", "-pk")
    search_fields = ("actor_label", "verb", "object_label", "object_id", "request_id")
    search_help_text = "Search by person, what was done, the object's name or id, or the request's id."
    fields = (
        "at",
        "actor_label",
        "actor_id",
        "verb",
        "object_type",
        "object_label",
        "object_id",
        "workspace_id",
        "old",
        "new",
        "ip",
        "request_id",
    )
    csv_fields = (
        "at",
        "actor_label",
        "verb",
        "object_type",
        "object_label",
        "object_id",
        "workspace_id",
        "ip",
    )
    actions = (export_csv,)
