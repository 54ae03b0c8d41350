"""The operators' side of the console: Django admin as a window on rows that actions write.

Nothing is typed over here. What an operator may do is a button that calls an action with the operator as actor, or
one of the few `editable` fields, whose `save_model` calls one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.messages.constants import DEFAULT_TAGS
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import slugify

from console.kit.csv_file import csv_response
from console.kit.refusals import ActionRefused
from workspaces.actions import operators
from workspaces.models import User

AT_ONCE = 100  # rows that one press of a button acts on
EXPORT_AT_MOST = 50_000  # rows of one CSV file
ANYWHERE = [admin.ActionLocation.CHANGE_LIST, admin.ActionLocation.CHANGE_FORM]

if TYPE_CHECKING:
    Rows = QuerySet[Any]
    ModelAdmin = admin.ModelAdmin[Any]
    Inline = admin.TabularInline[Any, Any]
    Site = admin.AdminSite
else:
    Rows, ModelAdmin, Inline, Site = QuerySet, admin.ModelAdmin, admin.TabularInline, admin.AdminSite


def operator(request: HttpRequest) -> User:
    """Who is signed in, for `by`."""
    assert isinstance(request.user, User)  # noqa: S101 - the site lets no one else in
    return request.user


class OperatorSite(Site):
    """For site administrators, signed in through the console's own accounts with their limits and second factor."""

    site_header = site_title = "Airdeck administration"
    index_title = "Administration"
    enable_nav_sidebar = False  # lists need its room

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Only windows that go through actions; what other packages register would write past them."""
        if admin_class is not None and issubclass(admin_class, OperatorAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Strangers to sign-in, people without the right to 403."""
        return secure_admin_login(super().admin_view(view, cacheable))

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """There is no second way in."""
        return secure_admin_login(lambda request: redirect("admin:index"))(request)  # type: ignore[no-any-return]

    def logout(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:  # type: ignore[override]
        """The console's own."""
        return redirect("account_logout")

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:  # type: ignore[override]
        """The console's own."""
        return redirect("account_change_password")

    password_change_done = password_change  # type: ignore[assignment]

    def get_log_entries(self, request: HttpRequest) -> QuerySet[LogEntry]:
        """None: audit events are the one record."""
        return LogEntry.objects.none()


class OperatorAdmin(ModelAdmin):
    """A list and a page of rows that actions write. `fields` are shown, and only `editable` ones can be changed."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count per filter is a query per filter
    view_on_site = False
    save_as = False
    editable: tuple[str, ...] = ()
    addable: tuple[str, ...] = ()  # what a new row is made of; without them none can be made here
    csv_fields: tuple[str, ...] = ()
    audited_as = ""  # the `object_type` of its audit events

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Site administrators see every row."""
        return self.admin_site.has_permission(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Site administrators see the index."""
        return self.admin_site.has_permission(request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """What the buttons ask."""
        return self.admin_site.has_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Where there is something to fill in; `save_model` calls an action."""
        return bool(self.addable) and self.admin_site.has_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows are removed by actions."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Where something is editable."""
        return bool(self.editable) and self.admin_site.has_permission(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """All that is shown, but what is editable."""
        if obj is None:
            return []
        shown = flatten_fieldsets(self.get_fieldsets(request, obj))
        return [str(field) for field in shown if field not in self.editable]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Of a new row, what it is made of."""
        return self.addable if obj is None and self.addable else super().get_fields(request, obj)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """What an action refuses while it saves changes nothing, and is shown."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except ActionRefused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return redirect(request.get_full_path())

    def message_user(
        self,
        request: HttpRequest,
        message: Any,
        level: int | str = messages.INFO,
        extra_tags: str = "",
        fail_silently: bool = False,
    ) -> None:
        """With the class that admin's style sheet knows; our pages have other tags."""
        tags = extra_tags or DEFAULT_TAGS[int(level)]
        super().message_user(request, message, level, tags, fail_silently)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """With a link to its audit events, where there are such."""
        return super().render_change_form(
            request, {**context, "audited": bool(self.audited_as)}, *args, **kwargs
        )

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Nothing: the action wrote the audit event."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Nothing: nothing is added here, and an action would write the audit event."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Its audit events."""
        query = {"object_type__exact": self.audited_as, "object_id__exact": object_id}
        return redirect(f"{reverse('admin:workspaces_auditevent_changelist')}?{urlencode(query)}")


class OperatorInline(Inline):
    """A few rows on the page of their parent, to look at."""

    extra = 0
    max_num = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As the page around it."""
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows are added by actions alone."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows are changed by actions alone."""
        return False


def list_link(model: type[Model], text: object, **query: object) -> SafeString:
    """A link to the list of `model` filtered by `query`."""
    opts = model._meta
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', url, urlencode({k: str(v) for k, v in query.items()}), text)


type Button = Callable[[OperatorAdmin, HttpRequest, Rows], HttpResponse | None]


def button(label: str, act: Callable[[Any, User], str], *, ask: str = "") -> Button:
    """An entry of the Action menu, on the list and on the page of one row. `act` does it to one row and returns the
    sentence for the operator, or raises ActionRefused. With `ask` a page says what it will do and waits for a yes."""

    def run(window: OperatorAdmin, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        chosen = list(rows[: AT_ONCE + 1])
        if len(chosen) > AT_ONCE:
            window.message_user(request, f"Choose at most {AT_ONCE} rows at once.", messages.ERROR)
            return None
        if ask and "confirmed" not in request.POST:
            return _confirmation(window, request, chosen, label, ask)
        for row in chosen:
            try:
                window.message_user(request, act(row, operator(request)), messages.SUCCESS)
            except ActionRefused as refusal:
                window.message_user(request, str(refusal), messages.ERROR)
        return None

    run.__name__ = slugify(label).replace("-", "_")
    return admin.action(run, permissions=["operate"], description=label, location=ANYWHERE)


def _confirmation(
    window: OperatorAdmin, request: HttpRequest, rows: list[Any], label: str, ask: str
) -> HttpResponse:
    repeated = {ACTION_CHECKBOX_NAME, "action", "select_across"}
    context = {
        **window.admin_site.each_context(request),
        "title": label,
        "opts": window.opts,
        "ask": ask,
        "rows": rows,
        "label": label,
        "back": request.get_full_path(),
        "hidden": [
            (key, value)
            for key, values in request.POST.lists()
            if key.rpartition("-")[2] in repeated
            for value in values
        ],
    }
    return TemplateResponse(request, "admin/confirm.html", context)


@admin.action(description="Export CSV", permissions=["operate"])
def export_csv(window: OperatorAdmin, request: HttpRequest, rows: Rows) -> HttpResponse | None:
    """The chosen rows as a file; formulas are made harmless."""
    what = str(window.opts.verbose_name_plural)
    table = list(rows.values_list(*window.csv_fields)[: EXPORT_AT_MOST + 1])
    if len(table) > EXPORT_AT_MOST:
        sentence = f"A file holds at most {EXPORT_AT_MOST} rows. Filter or search first."
        window.message_user(request, sentence, messages.ERROR)
        return None
    operators.record_export(what=what, rows=len(table), by=operator(request))
    return csv_response(slugify(what), window.csv_fields, table)
