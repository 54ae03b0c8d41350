"""Which code is kept: the last 20 deploys or those of 90 days, what is under way, what unfinished runs belong to."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from deployments.dataplane.code import CodeStore
from deployments.dataplane.packages import PackageStore
from deployments.domain.deploy_states import UNDER_WAY
from deployments.models import UPLOAD_LIFE, CodeManifest, CodeUpload, Deploy, Deployment, PackageSet

LAST = 20
FOR = timedelta(days=90)


def prune(deployment: Deployment, store: CodeStore, pinned: frozenset[str]) -> None:
    """Forget the code of deploys that are neither, and drop its contents. Their rows stay as history. Raises
    DataPlaneError; what was not dropped is dropped after the next deploy."""
    rows = Deploy.objects.filter(deployment=deployment)
    newest = list(rows.order_by("-number").values_list("pk", flat=True)[:LAST])
    kept = (
        Q(pk__in=newest)
        | Q(created_at__gt=timezone.now() - FOR)
        | Q(status__in=[each.value for each in UNDER_WAY])
        | Q(version__in=[*pinned, deployment.code_version])
    )
    rows.exclude(kept).update(manifest=None)
    CodeUpload.objects.filter(deployment=deployment, created_at__lt=timezone.now() - UPLOAD_LIFE).delete()
    unused = CodeManifest.objects.filter(deployment=deployment, deploys__isnull=True)
    unused.exclude(pk__in=CodeUpload.objects.filter(deployment=deployment).values("manifest")).delete()
    manifests = CodeManifest.objects.filter(deployment=deployment).values_list("digest", flat=True)
    versions = rows.filter(manifest__isnull=False).values_list("version", flat=True)
    store.keep(frozenset(manifests), frozenset(versions) | pinned)


def prune_packages(deployment: Deployment, store: PackageStore | None) -> None:
    """Forget what no kept deploy asks for, and drop environments of those and of runtimes that it will not have again.
    The lines of what is asked for stay, for whatever runtime they are known. Raises DataPlaneError."""
    sets = PackageSet.objects.filter(deployment=deployment)
    kept = Deploy.objects.filter(deployment=deployment, manifest__isnull=False).values("requirements")
    uploads = CodeUpload.objects.filter(deployment=deployment).values("requirements")
    runtimes = [each.version for each in (deployment.runtime, deployment.upgrade_from) if each is not None]
    asked = (
        Q(requirements__in=kept) | Q(requirements__in=uploads) | Q(requirements=deployment.code_requirements)
    )
    sets.exclude(asked).delete()
    of_now = sets.filter(runtime__in=runtimes)
    sets.exclude(runtime__in=runtimes).filter(requirements__in=of_now.values("requirements")).delete()
    if store is not None:
        store.keep(frozenset(of_now.exclude(digest="").values_list("digest", flat=True)))
