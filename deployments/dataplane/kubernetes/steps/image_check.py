"""Looking at an image of a Deployment's own, by a Job in its namespace. The pod's status says which digest was pulled
and what was found, so that no registry is asked by us."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from console.kit.wording import exact
from deployments.dataplane.images import ImageLook, ImageRefused, ImageWish
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.health import messages, pods, signals
from deployments.dataplane.kubernetes.manifests import image_check as manifests
from deployments.dataplane.kubernetes.steps import jobs
from deployments.dataplane.kubernetes.target import Target, true_condition
from deployments.dataplane.kubernetes.text import clause
from deployments.dataplane.postgres import airflow_metadata
from deployments.domain import image_reference
from deployments.domain.log_lines import clean, why_ended
from deployments.domain.spec import RuntimeSpec
from deployments.domain.states import ComponentState

PATIENCE_SECONDS = 30.0  # a registry that could not be reached once may be reached at the next try
LOGIN = "Enter a login for this registry on the page Image, or correct the name of the image."


@dataclass(frozen=True, repr=False)
class JobImages:
    """The ImageChecker of one Deployment in a cluster. `images.ImageChecker` says what holds of every method."""

    target: Target

    def look(self, wish: ImageWish) -> ImageLook:
        job = self._job(wish)
        found = self.target.api.get(jobs.path(job), "the Job that looks at the image")
        if found is None:
            self._begin(job, wish)
            return ImageLook(waiting=f"Pulling {clause(wish.reference, 300)}.")
        mine = jobs.pods_of(self.target.api, found)
        if true_condition(found, "Complete"):
            return self._verdict(wish, mine)
        _refuse_what_ended(wish, found, mine)
        return ImageLook(waiting=self._waiting(wish, found, mine))

    def forget(self) -> None:
        """The cluster removes the pods of a Job with it."""
        selector = f"{names.LABEL_COMPONENT}={names.IMAGE_CHECK}"
        path = self.target.path("batch/v1", "Job")
        for found in self.target.api.items(path, "its Jobs", labelSelector=selector):
            if "deletionTimestamp" not in found["metadata"]:
                meta = found["metadata"]
                self.target.api.delete(jobs.path(found), "the Job that looks at the image", str(meta["uid"]))

    def _begin(self, job: Json, wish: ImageWish) -> None:
        self.forget()  # one that was asked for before
        ref = self.target.ref
        meta = {
            "name": names.OWN_REGISTRY,
            "namespace": self.target.namespace,
            "labels": {
                **names.labels(ref),
                names.LABEL_VERSION: wish.runtime.airflow_version,
            },
        }
        login = manifests.registry(meta, wish.secrets.registry_login)
        self.target.api.apply(self.target.path("v1", "Secret", names.OWN_REGISTRY), login)
        jobs.begin(self.target.api, job)

    def _job(self, wish: ImageWish) -> Json:
        settings = self.target.settings
        meta = {
            "name": names.image_check(wish.key),
            "namespace": self.target.namespace,
            "labels": names.labels(self.target.ref, names.IMAGE_CHECK),
        }
        read = image_reference.read(wish.reference)
        # A name with both is pulled by its digest; some container runtimes take no tag beside it.
        image = read.pinned(read.digest) if read.digest else wish.reference
        return manifests.job(meta, settings, settings.image(image))

    def _verdict(self, wish: ImageWish, mine: list[Json]) -> ImageLook:
        """What the pod that ended well found."""
        status = next((one for pod in mine for one in pods.containers(pod) if pods.ended_now(one)), None)
        findings = _found(status) if status else {}
        if status is None or not findings:
            raise ImageRefused("The cluster does not say what was found in the image. Deploy it again.")
        if problem := str(findings.get("problem", "")):
            raise ImageRefused(f"{clause(problem, 600)}. Build the image on {_base(wish.runtime)}.")
        airflow = str(findings.get("airflow", ""))
        if not image_reference.same_minor(airflow, wish.runtime.airflow_version):
            raise ImageRefused(
                f"This image has Airflow {clause(airflow, 40)}, and runtime {wish.runtime.version} is Airflow "
                f"{wish.runtime.airflow_version}. Build the image on {_base(wish.runtime)}, or upgrade "
                "the runtime first."
            )
        self._refuse_other_tables(wish, airflow, str(findings.get("head", "")))
        read = image_reference.read(wish.reference)
        digest = read.digest or image_reference.digest_of(str(status.get("imageID", "")))
        if not digest:
            raise ImageRefused(
                "The node has this image from elsewhere than a registry, so it has no digest by which other nodes "
                "could pull it. Push it to a registry."
            )
        return ImageLook(read.pinned(digest), airflow, clause(findings.get("python"), 40))

    def _refuse_other_tables(self, wish: ImageWish, airflow: str, head: str) -> None:
        """Some patch releases change tables. Nothing but an upgrade of the runtime migrates them."""
        if airflow == wish.runtime.airflow_version:
            return
        now = airflow_metadata.revision(self.target.admin_url, self.target.ref.release_name)
        if head != now:
            raise ImageRefused(
                f"This image has Airflow {clause(airflow, 40)}, whose metadata database has other tables than that of "
                f"{wish.runtime.airflow_version}. Build the image on {_base(wish.runtime)}."
            )

    def _waiting(self, wish: ImageWish, found: Json, mine: list[Json]) -> str:
        now, began = datetime.now(UTC), pods.began(found)
        seconds = (now - began).total_seconds() if began else 0.0
        if any(pods.running_since(one) for pod in mine for one in pods.containers(pod)):
            return f"Looking at what is in the image (for {exact(seconds)})."
        if seconds >= jobs.QUIET_SECONDS:
            events = jobs.events(self.target.api, found)
            reported = signals.most_severe(
                one for pod in mine for one in signals.of_pod(pod, "the look at the image", events, now)
            )
            if reported and reported.state is ComponentState.FAILING:
                return f"{reported.sentence[0].upper()}{reported.sentence[1:]}"
            refused = [one.message for one in pods.events_of(events, "Job", [found["metadata"]["name"]])]
            if refused:
                return messages.creation("the look at the image", refused[-1])
        return f"Pulling {clause(wish.reference, 300)} (for {exact(seconds)})."


def _base(runtime: RuntimeSpec) -> str:
    return f"apache/airflow:{runtime.airflow_version}"


def _message(status: pods.Raw) -> str:
    """What the container left behind: hostile, and at most 4,096 bytes by Kubernetes' own limit."""
    ended = (status.get("state") or {}).get("terminated") or {}
    return str(ended.get("message") or "")[:8192]


def _found(status: pods.Raw) -> dict[str, Any]:
    try:
        found = json.loads(_message(status))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refuse_what_ended(wish: ImageWish, found: Json, mine: list[Json]) -> None:
    """Raise ImageRefused when nothing will come of it any more."""
    for pod in mine:
        for status in (*pods.init_containers(pod), *pods.containers(pod)):
            _refuse_not_pulled(wish, found, status)
            _refuse_not_run(wish, status)
    failure = true_condition(found, "Failed")
    if failure is None:
        return
    if failure.get("reason") == "DeadlineExceeded":
        limit = exact(float(manifests.DEADLINE_SECONDS))
        raise ImageRefused(
            f"Looking at the image did not end within {limit}. Use a smaller image, or one that is nearer to the "
            "cluster, and see that the cluster has room for a pod of 0.2 CPU and 0.75 GiB."
        )
    why = clause(failure.get("message") or failure.get("reason") or "no reason given", 300)
    raise ImageRefused(f"The look at the image failed: {why}. Deploy it again.")


def _refuse_not_pulled(wish: ImageWish, found: Json, status: pods.Raw) -> None:
    reason, message = pods.waiting(status)
    began = pods.began(found)
    waited = (datetime.now(UTC) - began).total_seconds() if began else 0.0
    if reason in signals.PULL and (waited >= PATIENCE_SECONDS or reason == "InvalidImageName"):
        raise ImageRefused(
            messages.image_pull("The cluster", wish.reference, reason, message, whose="", secret=LOGIN)
        )
    if reason in signals.CONFIG and waited >= PATIENCE_SECONDS:
        raise ImageRefused(
            f"The image cannot be started as user 50000: {clause(message or reason, 300)}. Build it on "
            f"{_base(wish.runtime)}, and keep its entrypoint."
        )


def _refuse_not_run(wish: ImageWish, status: pods.Raw) -> None:
    ended = pods.ended_now(status)
    if ended is None or ended.code == 0:
        return
    if ended.reason == "OOMKilled":
        raise ImageRefused(
            f"Importing Airflow in this image takes more than {manifests.SIZE.memory_text} GiB."
        )
    lines = [line for raw in _message(status).splitlines() if (line := clean(raw))]
    last = clause(why_ended(lines) or f"exit {ended.code}", 500)
    what = "airflow version" if status.get("name") == manifests.VERSION else "Python"
    raise ImageRefused(
        f"As user 50000 “{what}” does not run in this image: {last}. Build it on {_base(wish.runtime)}, keep its "
        "entrypoint, and let every user read what you add."
    )
