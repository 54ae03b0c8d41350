"""The pages on which an operator says how a Kubernetes cluster is reached: registering it, and changing that."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from console.kit.refusals import ActionRefused
from deployments.actions import clusters as registration
from deployments.actions.clusters import DOCUMENTS, ClusterConnection
from deployments.clusters import connections
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes.api.credentials import MAX_BYTES, Credentials, parse
from deployments.domain.names import NAME_LENGTH
from deployments.models import Cluster
from workspaces.operator_site import OperatorAdmin, operator

# Settings with a field of their own; "other" takes the rest, a line each.
FIELDS = ("ingress_domain", "ingress_class", "namespace_prefix", "image_prefix")
SECRET = {"autocomplete": "off", "spellcheck": "false"}


class UnseenTextarea(forms.Textarea):
    """A text that no page ever shows again, not even to who typed it."""

    def format_value(self, value: Any) -> str | None:
        """None, whatever is stored or was typed: the field is always shown empty."""
        return None


class ReachForm(forms.Form):
    """How a cluster is reached. For a registered one (`current`) what is left empty stays, but the settings shown."""

    name = forms.CharField(max_length=NAME_LENGTH, help_text="People see it in the create form.")
    kubeconfig_file = forms.FileField(required=False, label="Kubeconfig")
    kubeconfig = forms.CharField(
        required=False,
        strip=False,
        label="or paste it",
        widget=UnseenTextarea(attrs={"rows": 6, "cols": 80, **SECRET}),
        help_text="Inline certificates or a token only. Programs, plugins, files and proxies in it are refused.",
    )
    context = forms.CharField(
        required=False, max_length=253, help_text="Leave empty for the current context."
    )
    database_url = forms.CharField(
        required=False,
        label="Database URL",
        max_length=2000,
        widget=forms.PasswordInput(attrs={"size": 80, **SECRET, "autocomplete": "new-password"}),
        help_text="The primary Postgres: postgresql://user:password@host:5432/postgres. Pods use the same name.",
    )
    moved = forms.BooleanField(
        required=False,
        label="Moved: the same cluster and Postgres, at another address",
        help_text="Another address is refused without it while Deployments are there.",
    )
    ingress_domain = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"size": 40}),
        help_text="Airflow answers at https://<release name>.<domain>.",
    )
    ingress_class = forms.CharField(
        required=False, max_length=253, label="IngressClass", help_text="Empty: the cluster's default."
    )
    namespace_prefix = forms.CharField(
        required=False,
        max_length=63,
        help_text="Put before each namespace: airflow- gives airflow-calm-orbit-0012.",
    )
    image_prefix = forms.CharField(
        required=False,
        max_length=253,
        help_text="A registry that mirrors images: registry.example.org/mirror.",
    )
    image_pull_secret = forms.CharField(
        required=False,
        strip=False,
        widget=UnseenTextarea(attrs={"rows": 3, "cols": 80, **SECRET}),
        help_text="A dockerconfigjson by which images are pulled, or the name of a Secret in every namespace.",
    )
    log_bucket = forms.CharField(
        required=False,
        label="Bucket for logs of tasks",
        widget=UnseenTextarea(attrs={"rows": 3, "cols": 80, **SECRET}),
        help_text="S3-compatible storage, as a JSON object with url, region, access_key and secret_key.",
    )
    keda = forms.BooleanField(required=False, label="Let KEDA scale workers where it is")
    other = forms.CharField(
        required=False,
        label="Other settings",
        widget=forms.Textarea(attrs={"rows": 3, "cols": 80}),
        help_text="NAME=VALUE, a line each (docs/kubernetes.md): worker_grace=3600.",
    )

    def __init__(self, *args: Any, current: Cluster | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.current = current
        if current is None:
            del self.fields["moved"]
            return
        stays = " Empty: what is stored stays."
        del self.fields["name"]
        for name in ("kubeconfig", "database_url", *DOCUMENTS):
            self.fields[name].help_text += stays
        stored = registration.shown_settings(current)
        for name in FIELDS:
            self.fields[name].initial = stored.pop(name, "")
        self.fields["keda"].initial = stored.pop("keda", "") == "true"
        self.fields["other"].initial = "\n".join(f"{key}={value}" for key, value in stored.items())

    def clean(self) -> dict[str, Any]:
        """Everything that is wrong, beside its field, before the action is called."""
        cleaned = super().clean() or self.cleaned_data
        cleaned["credentials"] = self._credentials(cleaned)
        if cleaned.get("database_url"):
            self._checked("database_url", lambda: registration.checked_url(cleaned["database_url"]))
        elif self.current is None:
            self.add_error("database_url", "Enter the URL of the primary Postgres.")
        cleaned["settings"] = self._settings(cleaned)
        return cleaned

    def _credentials(self, cleaned: dict[str, Any]) -> Credentials | None:
        file, text = cleaned.get("kubeconfig_file"), cleaned.get("kubeconfig") or ""
        if file and text.strip():
            self.add_error("kubeconfig", "Choose a file or paste the text, not both.")
            return None
        if isinstance(file, UploadedFile):
            text = (file.read(MAX_BYTES + 1) or b"").decode(errors="replace")
        if not text.strip():
            if self.current is None:
                self.add_error("kubeconfig", "Choose a kubeconfig, or paste its text.")
            return None
        try:
            return parse(text, cleaned.get("context") or "")
        except DataPlaneError as error:
            self.add_error("context" if "context" in str(error) else "kubeconfig", str(error))
            return None

    def _settings(self, cleaned: dict[str, Any]) -> dict[str, str]:
        found = {name: cleaned.get(name) or "" for name in FIELDS}
        found["keda"] = "true" if cleaned.get("keda") else ""
        for line in (cleaned.get("other") or "").splitlines():
            name, mark, value = line.partition("=")
            if mark:
                found[name.strip()] = value.strip()
            elif line.strip():
                self.add_error("other", f"Write NAME=VALUE, not “{line.strip()[:80]}”.")
        for name in DOCUMENTS:
            if secret := (cleaned.get(name) or "").strip():
                found[name] = secret
        for name, value in found.items():
            field = name if name in self.fields else "other"
            self._checked(field, lambda name=name, value=value: registration.checked_settings({name: value}))
        if self.current is not None:  # a line that was taken out
            gone = registration.shown_settings(self.current).keys() - found.keys()
            found |= dict.fromkeys(gone, "")
        return found

    def _checked(self, field: str, check: Any) -> None:
        try:
            check()
        except ActionRefused as refusal:
            self.add_error(field, str(refusal))

    @property
    def reach(self) -> ClusterConnection:
        """What a valid form says."""
        cleaned = self.cleaned_data
        url, moved = cleaned.get("database_url") or None, cleaned.get("moved", False)
        return ClusterConnection(cleaned["credentials"], url, cleaned["settings"], moved)


def page(window: OperatorAdmin, request: HttpRequest, current: Cluster | None) -> HttpResponse:
    """The form; once it is valid, the cluster's page, which follows the checks."""
    form = ReachForm(request.POST or None, request.FILES or None, current=current)
    if request.method == "POST":
        form = ReachForm(request.POST, request.FILES, current=current)
        if form.is_valid() and (cluster := _save(request, form, current)):
            url = reverse("admin:deployments_cluster_change", args=[cluster.pk])
            return redirect(f"{url}?watch=1")
    name = current.name if current else ""
    context = {
        **window.admin_site.each_context(request),
        "title": f"How {name} is reached" if current else "Register a Kubernetes cluster",
        "opts": window.opts,
        "form": form,
        "current": current,
        "server": connections.config(current).settings.get("server", "") if current else "",
        "submit": "Save and check" if current else "Register and check",
    }
    status = 422 if form.errors else 200
    return TemplateResponse(request, "admin/reach_cluster.html", context, status=status)


def _save(request: HttpRequest, form: ReachForm, current: Cluster | None) -> Cluster | None:
    by = operator(request)
    try:
        if current is not None:
            return registration.replace(name=current.name, reach=form.reach, by=by)
        return registration.register(name=form.cleaned_data["name"], reach=form.reach, by=by)
    except ActionRefused as refusal:
        form.add_error("name" if "name" in form.fields else None, str(refusal))
        return None
