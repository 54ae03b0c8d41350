"""Taking a Deployment towards a Release, in the order of the driver's steps. Each step finds by itself whether it is
done, so that a call killed at any instant is completed by the next one."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from deployments.dataplane.contract import Component, DataPlaneError, Outcome, Progress
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.kubernetes.api.errors import ApiRefused
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.health.observe import Observed
from deployments.dataplane.kubernetes.manifests import Inputs, Phase, Rendered, render
from deployments.dataplane.kubernetes.manifests.inputs import derived
from deployments.dataplane.kubernetes.names import component_of
from deployments.dataplane.kubernetes.objects import apply
from deployments.dataplane.kubernetes.objects import inventory as inv
from deployments.dataplane.kubernetes.objects.inventory import Inventory
from deployments.dataplane.kubernetes.steps import scaling, template_database, upgrade
from deployments.dataplane.kubernetes.target import Target
from deployments.dataplane.kubernetes.text import title
from deployments.dataplane.postgres import code_schema, databases, templates
from deployments.dataplane.postgres.code_store import PostgresCode
from deployments.domain.spec import Release, Secrets
from deployments.domain.states import ComponentState

# A bound, not a reservation. Seven processes hold a pool of at most 10 each (two API servers, four schedulers ...);
# a rollout doubles some for a moment, and probes connect for milliseconds.
CONNECTION_LIMIT = 120
CODE_PASSWORD = "code database"  # noqa: S105 - what it is for
SLEEP = "sleep"


@dataclass(frozen=True, repr=False)
class Task:
    """One call of `apply`. `keda` and `log_volume` say what the cluster has. `seen` is what `observe` saw just before,
    so that nothing is asked twice."""

    target: Target
    release: Release
    secrets: Secrets
    workers: Mapping[str, int]
    keda: bool
    log_volume: bool = False
    seen: Observed | None = None

    def step(self) -> Progress | None:
        """What had to be done first; None when every object is applied and every queue has its workers."""
        target = self.target
        known = self.seen.inventory if self.seen else inv.read(target.api, target.ref, target.namespace)
        rendered = self._rendered()
        if not known.found:
            made = self._namespace(known, rendered)
            if isinstance(made, Progress):
                return made
            known = made
        if progress := self._database(known):
            return progress
        image_waits = bool(self.release.code) and self._image_waits(rendered)
        if self.release.code and not image_waits:
            self._code().activate(self.release.code)
        if self.release.hibernating:
            if progress := self._asleep(known, rendered):
                return progress
        elif progress := self._upgrade(known, rendered):
            return progress
        if (progress := self._objects(known, rendered)) is None and self.release.code and image_waits:
            self._code().activate(self.release.code)
        return progress

    def _image_waits(self, rendered: Rendered) -> bool:
        """Whether components are still to be asked to run another image: no new code runs in the old one."""
        desired, name = _images(rendered.of(Phase.COMPONENTS)), names.DAG_PROCESSOR
        present = _images(self.seen.workloads if self.seen else self.target.workloads())
        return name in present and present[name] != desired.get(name)

    def readiness(self, seen: Observed) -> Progress:
        """Everything is applied: what is not ready yet? When nothing, that is written down."""
        found = seen.observation
        if self.release.hibernating:
            if not found.asleep:
                return Progress(SLEEP, Outcome.WAITING, "Waiting for the last pods to end.")
            self._record_inventory(seen.inventory)
            return Progress(SLEEP, Outcome.FINISHED, "Airflow hibernates; its database and settings stay.")
        unsettled = [c for c in found.components if c.state is not ComponentState.READY]
        if found.components and not unsettled:
            upgrade.finish(self.target, seen.there)
            self._record_inventory(seen.inventory)
            return Progress("address", Outcome.FINISHED, "All components are healthy.")
        step = "address" if [c.name for c in unsettled] == [names.API_SERVER] else "components"
        return Progress(step, Outcome.WAITING, _standing(found.components))

    def _namespace(self, known: Inventory, rendered: Rendered) -> Progress | Inventory:
        """Make the namespace, or see that it is ours. What is applied then; or what has to be waited for."""
        path = path_of("v1", "Namespace", "", self.target.namespace)
        found = self.target.api.get(path, f"namespace {self.target.namespace}")
        if found is None:
            manifest = rendered.of(Phase.NAMESPACE)[0]
            return apply.noted(
                known, manifest, self.target.api.apply(path, manifest), self.secrets.fernet_key
            )
        labels = found["metadata"].get("labels") or {}
        if labels.get(names.LABEL_DEPLOYMENT) != self.target.ref.deployment_id:
            raise DataPlaneError(
                f"The cluster has a namespace {self.target.namespace} that was not made for this Deployment. "
                "Remove it, or register the cluster with another namespace prefix."
            )
        if "deletionTimestamp" in found["metadata"]:
            message = (
                f"Namespace {self.target.namespace} was removed; waiting until it is gone to make it again."
            )
            return Progress("namespace", Outcome.WAITING, message)
        return known

    @property
    def _there(self) -> databases.Leftovers | None:
        """What the database server has, as `seen`. Only for what this call has not changed since."""
        return self.seen.there if self.seen else None

    def _database(self, known: Inventory) -> Progress | None:
        target = self.target
        name, own = target.ref.release_name, target.ref.deployment_id
        found = self._there or databases.find(target.admin_url, name, own)
        if not (found.ready or found.snapshot) and (progress := self._metadata_database(known, found)):
            return progress
        if not found.code_ready:
            password = derived(self.secrets, CODE_PASSWORD)
            code_schema.ensure(target.admin_url, name, own, password=password)
        return None

    def _metadata_database(self, known: Inventory, found: databases.Leftovers) -> Progress | None:
        target, runtime = self.target, self.release.runtime
        name, own = target.ref.release_name, target.ref.deployment_id
        if not found.database and (known.digest or known.applied or self.release.ran_before):
            raise databases.missing(name)
        if waiting := template_database.ensure(target, runtime):
            return Progress("database", Outcome.WAITING, waiting)
        databases.ensure_database(
            target.admin_url,
            name,
            own,
            password=self.secrets.database_password,
            template=templates.name_of(runtime.version),
            connection_limit=CONNECTION_LIMIT,
            runtime=runtime.version,
        )
        return None

    def _upgrade(self, known: Inventory, rendered: Rendered) -> Progress | None:
        def configure(present: Inventory) -> Progress | None:
            """The Job's account, way to the database and keys; nothing is pruned yet."""
            first = (*rendered.of(Phase.NAMESPACE), *rendered.of(Phase.CONFIGURATION))
            return self._converge(present, first, digest="", step=upgrade.STEP, prune=_nothing)

        there = self._there if self._there and self._there.ready else None  # else made just now

        def let_go(present: Inventory) -> Progress | None:
            return self._let_go(present, upgrade.STEP)

        return upgrade.step(self.target, self.release, known, self._job(rendered), configure, there, let_go)

    def _asleep(self, known: Inventory, rendered: Rendered) -> Progress | None:
        """Stop what runs, in an order that loses no task. A migration that runs is not cut off."""
        if known.digest == self.release.digest:
            return None
        if migrating := upgrade.running(self.target, self._job(rendered)):
            return Progress(SLEEP, Outcome.WAITING, migrating)
        if progress := self._let_go(known, SLEEP):
            return progress
        waiting = upgrade.stopped(self.target, known)
        return Progress(SLEEP, Outcome.WAITING, waiting) if waiting else None

    def _let_go(self, known: Inventory, step: str) -> Progress | None:
        """Before anything is stopped KEDA is asked to leave it so: within ten seconds it would start a queue's least
        number of workers again, also while the database is migrated. Of a queue that is removed with the same change it
        is asked so for good."""
        scaled = {one for one in known.rendered if _is_scaled(one)}
        if not scaled and not (self.keda and self.release.queues):
            return None
        asleep = replace(self, release=replace(self.release, hibernating=True))._rendered()
        key, objects = self.secrets.fernet_key, asleep.of(Phase.AUTOSCALING)
        marks = {inv.identity(one): inv.manifest_digest(one, key) for one in objects}
        if scaled <= marks.keys() and all(known.rendered.get(one) == mark for one, mark in marks.items()):
            return None
        return self._converge(known, objects, digest="", step=step, prune=_is_scaled)

    def _objects(self, known: Inventory, rendered: Rendered) -> Progress | None:
        step = SLEEP if self.release.hibernating else "components"
        try:
            progress = self._converge(known, rendered.lasting, digest=self.release.digest, step=step)
        except ApiRefused:
            self._scale_all_the_same(known)
            raise
        if self.release.hibernating or self.keda or not self.release.queues:
            return progress
        if not known.applied and set(self.workers.values()) <= {1}:
            return progress  # a workload that says nothing else has one pod
        unchanged = progress is None and self.seen is not None
        present = self.seen.workloads if self.seen and unchanged else self.target.workloads()
        message = scaling.set_workers(self.target, present, self.workers)
        if message and progress is not None:
            return replace(progress, sentence=f"{progress.sentence} {message}")
        return Progress("components", Outcome.PROGRESSED, message) if message else progress

    def _scale_all_the_same(self, known: Inventory) -> None:
        """A change that the cluster refuses, perhaps for days, keeps no worker from the tasks of what runs on."""
        if known.applied and not (self.release.hibernating or self.keda):
            with suppress(DataPlaneError):
                scaling.set_workers(self.target, self.target.workloads(), self.workers)

    def _converge(
        self,
        known: Inventory,
        manifests: tuple[Json, ...],
        *,
        digest: str,
        step: str,
        prune: Callable[[inv.Id], bool] = apply.prunable,
    ) -> Progress | None:
        done = apply.converge(
            self.target.api,
            self.target.ref,
            self.target.namespace,
            manifests,
            known=known,
            key=self.secrets.fernet_key,
            digest=digest,
            prune=prune,
        )
        if not done.sentence and not done.notices:
            return None
        if step == "components" and done.complete and not known.applied:
            # No pod is ready at once: a further look now would cost every create a pass that finds nothing new.
            return Progress(
                step, Outcome.WAITING, f"{done.sentence} Waiting for the first pods.", done.notices
            )
        reached = "configuration" if step == "components" and not done.complete else step
        return Progress(reached, Outcome.PROGRESSED, done.sentence, done.notices)

    def _record_inventory(self, known: Inventory) -> None:
        if known.digest != self.release.digest:
            done = replace(known, digest=self.release.digest)
            inv.write(self.target.api, self.target.ref, self.target.namespace, done)

    def _rendered(self) -> Rendered:
        target = self.target
        name = databases.database_name(target.ref.release_name)
        url = databases.url(
            target.admin_url, database=name, user=name, password=self.secrets.database_password
        )
        code_url = databases.url(
            target.admin_url,
            database=code_schema.DATABASE,
            user=databases.code_role(target.ref.release_name),
            password=derived(self.secrets, CODE_PASSWORD),
        )
        settings = replace(target.settings, keda=self.keda, task_logs_volume=self.log_volume)
        # No `workers`: the scaler owns `replicas`.
        return render(Inputs(self.release, self.secrets, settings, url, code_url))

    def _code(self) -> PostgresCode:
        ref = self.target.ref
        return PostgresCode(self.target.admin_url, ref.release_name, ref.deployment_id)

    @staticmethod
    def _job(rendered: Rendered) -> Json:
        (job,) = rendered.of(Phase.MIGRATION)
        return job


def _nothing(_: inv.Id) -> bool:
    return False


def _is_scaled(one: inv.Id) -> bool:
    return one[1] == "ScaledObject"


def _images(workloads: Sequence[Json]) -> dict[str, str]:
    """The image of each component's first container, by component."""
    return {
        component_of(one): str(one["spec"]["template"]["spec"]["containers"][0].get("image", ""))
        for one in workloads
        if one.get("kind", "Deployment") == "Deployment"  # in a list an API server leaves it out
    }


def _standing(components: tuple[Component, ...]) -> str:
    """Which components serve and which do not. In a rolling change those of the version before serve until the last of
    the next one does."""
    unsettled = [c for c in components if c.state is not ComponentState.READY]
    rolling = [c for c in unsettled if c.state is ComponentState.STARTING and 0 < c.desired <= c.ready]
    waited = [c for c in unsettled if c not in rolling]
    parts = []
    if waited:
        parts.append(f"waiting for {_named(waited)}")
    if rolling:
        parts.append(f"replacing the pods of {_named(rolling)}, which still serve")
    serving = len(components) - len(waited)
    return f"{serving} of {len(components)} components serve; {', and '.join(parts)}."


def _named(components: Sequence[Component]) -> str:
    return ", ".join(title(c.name) for c in components)
