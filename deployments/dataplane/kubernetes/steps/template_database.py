"""The template database of a runtime, migrated once per cluster by a Job in Airdeck's own namespace there."""

import secrets as random

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import CLUSTER_KINDS, path_of
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.manifests import template_objects
from deployments.dataplane.kubernetes.steps import jobs
from deployments.dataplane.kubernetes.target import Target
from deployments.dataplane.postgres import databases, templates
from deployments.domain.spec import RuntimeSpec

PASSWORD_BYTES = 24


def ensure(target: Target, runtime: RuntimeSpec) -> str:
    """See that the runtime's template database is there. What is waited for; "" once it is. Raises DataPlaneError when
    its migration failed: the next call tries again."""
    template = templates.name_of(runtime.version)
    if templates.exists(target.admin_url, template):
        return ""
    # Two workers must not begin it at once: the second would take the draft from under the first one's Job.
    with databases.connect(target.admin_url) as admin, databases.locked(admin, f"{template} job"):
        if templates.exists(target.admin_url, template):
            return ""
        return _advance(target, runtime, template)


def _advance(target: Target, runtime: RuntimeSpec, template: str) -> str:
    *_, job = template_objects(
        runtime, target.settings, target.admin_url
    )  # the URL is not in the Job, nor in its name
    standing = jobs.look(target.api, job)
    message = f"Preparing Airflow {runtime.airflow_version} for this cluster, once."
    if standing.done:
        try:
            templates.finish(target.admin_url, template)
        except DataPlaneError:
            jobs.forget(target.api, job, standing)  # of a draft that a person dropped since: starts over
            raise
        _remove(target, runtime, standing)
        return ""
    if standing.ending:
        return f"{message} Waiting for an earlier Job to end."
    if standing.failed:
        _discard(target, job)
        raise DataPlaneError(
            f"Preparing a database for Airflow {runtime.airflow_version} failed: {standing.sentence}"
        )
    if standing.stuck:  # alone: it is the sentence by which a person can act
        return standing.sentence
    if standing.uid:
        return f"{message} {standing.sentence}"
    if earlier := [one for one in _jobs(target) if _secret_of(one) == _secret_of(job)]:
        for one in earlier:  # of another image: what it would have made is not needed any more
            _discard(target, one)
        return f"{message} Waiting for an earlier Job to end."
    url = templates.begin(target.admin_url, template, random.token_urlsafe(PASSWORD_BYTES))
    for manifest in template_objects(runtime, target.settings, url):
        target.api.apply(_path(manifest), manifest)
    return message


def discard_unfinished(target: Target) -> None:
    """Leave nothing of preparations that will not be finished: their Jobs, their keys and their half-made databases.
    One that still runs goes on; a Deployment that waits for a discarded one starts it again."""
    for job in _jobs(target):
        standing = jobs.look(target.api, job)
        if standing.failed or standing.stuck:
            _discard(target, job)


def _discard(target: Target, job: Json) -> None:
    secret, meta = _secret_of(job), job["metadata"]
    standing = jobs.look(target.api, job)
    jobs.forget(target.api, job, standing)
    target.api.delete(path_of("v1", "Secret", str(meta["namespace"]), secret), "the template's Secret")
    templates.drop_draft(target.admin_url, f"airdeck_{secret.replace('-', '_')}")


def _remove(target: Target, runtime: RuntimeSpec, standing: jobs.JobStanding) -> None:
    """The Job and its Secret have done their work."""
    for manifest in template_objects(runtime, target.settings, target.admin_url):
        if manifest["kind"] == "Job":
            jobs.forget(target.api, manifest, standing)
        elif manifest["kind"] == "Secret" and manifest["type"] == "Opaque":
            target.api.delete(_path(manifest), "the template's Secret")


def _jobs(target: Target) -> list[Json]:
    """Those that prepare templates, of every runtime."""
    namespace = names.template_namespace(target.settings.namespace_prefix)
    selector = f"{names.LABEL_MANAGED_BY}={names.MANAGER}"
    return target.api.items(path_of("batch/v1", "Job", namespace), "its Jobs", labelSelector=selector)


def _secret_of(job: Json) -> str:
    """The Secret with the URL of the database that the Job migrates. It is named after the runtime."""
    sources = (
        one.get("valueFrom") or {}
        for container in job["spec"]["template"]["spec"]["containers"]
        for one in container.get("env") or ()
    )
    return next((str(one["secretKeyRef"]["name"]) for one in sources if "secretKeyRef" in one), "")


def _path(manifest: Json) -> str:
    kind, meta = str(manifest["kind"]), manifest["metadata"]
    namespace = "" if kind in CLUSTER_KINDS else str(meta["namespace"])
    return path_of(str(manifest["apiVersion"]), kind, namespace, str(meta["name"]))
