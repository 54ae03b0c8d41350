"""Resolves requirements, and has them installed, within the passes over their Deployment.

The row of a PackageSet says how far that is, the data plane does the work and remembers it. So a pass may die anywhere,
and the next one goes on.
"""

import math
import zlib

import structlog
from django.db import transaction

from console.kit.failpoints import failpoint
from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable, Driver, UpgradeFailed
from deployments.dataplane.packages import PackagesRefused, PackageStore
from deployments.domain.deploy_states import PackagesState
from deployments.models import Deployment, PackageSet
from deployments.queries.packages import set_of, uploads_that_wait
from deployments.reconciler import recording
from deployments.reconciler.deploy_rows import ref_of
from deployments.reconciler.leases import Claim

logger = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0  # while something is resolved or installed
RETRY_SECONDS = 5.0  # while it cannot be
UPGRADE_TRIES = 8  # passes that an upgrade waits for packages that cannot be had now
GONE = "What its requirements.txt asked for is no longer kept. Deploy its code again."


def prepare(
    deployment: Deployment, store: PackageStore, requirements: str, *, install: bool
) -> tuple[PackageSet, str]:
    """Take the packages of these requirements on the Deployment's runtime as far as it goes now. What is waited for, in
    a sentence; "" when they are known and, with `install`, ready. Raises PackagesRefused and DataPlaneError."""
    row = set_of(deployment, requirements) or _for_this_runtime(deployment, requirements)
    if row.state == PackagesState.REFUSED:
        raise PackagesRefused(row.sentence)
    if not row.is_resolved:
        waiting = _resolve(deployment, store, row)
        if waiting:
            return row, waiting
    failpoint("packages.after_resolution")
    return row, store.install(row.opened()) if install else ""


def _for_this_runtime(deployment: Deployment, requirements: str) -> PackageSet:
    """After an upgrade: the same lines, resolved again against the other runtime's lock."""
    other = PackageSet.objects.filter(deployment=deployment, requirements=requirements).first()
    if other is None:
        raise PackagesRefused(GONE)
    row, _ = PackageSet.objects.get_or_create(
        deployment=deployment,
        requirements=requirements,
        runtime=deployment.runtime.version,
        defaults={"lines": other.lines},
    )
    return row


def _resolve(deployment: Deployment, store: PackageStore, row: PackageSet) -> str:
    try:
        found = store.resolve(deployment.runtime.spec, row.lines)
    except PackagesRefused as error:
        _note(row, state=PackagesState.REFUSED, sentence=str(error)[:1000])
        raise
    except DataPlaneError as error:
        _note(row, sentence=str(error)[:1000])
        raise
    if found.lock is None:
        _note(row, sentence=found.waiting[:1000])
        return found.waiting
    _note(
        row,
        state=PackagesState.RESOLVED,
        sentence="",
        digest=found.lock.digest,
        packages=dict(found.lock.packages),
        packed=zlib.compress(found.lock.text.encode()),
    )
    logger.info("packages_resolved", requirements=row.requirements[:12], packages=len(found.lock.packages))
    return ""


def _note(row: PackageSet, **values: object) -> None:
    """Write down what differs, while it is still being resolved. Open pages are updated."""
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    if not changed:
        return
    PackageSet.objects.filter(pk=row.pk, state=PackagesState.RESOLVING).update(**changed)
    for name, value in changed.items():
        setattr(row, name, value)
    transaction.on_commit(lambda: recording.publish(row.deployment_id), robust=True)


def look_ahead(claim: Claim, driver: Driver) -> float:
    """Resolve what uploads ask for before anybody deploys them. Seconds until the next look; infinite when nothing
    waits."""
    deployment = claim.deployment
    rows = uploads_that_wait(deployment)
    store = _store(claim, driver) if rows else None
    if store is None:
        return math.inf
    soon = math.inf
    for row in rows:
        try:
            waiting = _resolve(deployment, store, row)
        except PackagesRefused:
            continue
        except DataPlaneError:
            soon = min(soon, RETRY_SECONDS)
        else:
            soon = min(soon, LOOK_SECONDS) if waiting else soon
    return soon


def follow(claim: Claim, driver: Driver) -> str:
    """Before anything is applied: the packages of the active code must be ready for the desired runtime, and are
    resolved again for another one. What is waited for; "" when they are. Raises UpgradeFailed when an upgrade's runtime
    does not take them, and DataPlaneError; nothing has changed then."""
    deployment = claim.deployment
    if not deployment.code_requirements or deployment.hibernating:
        return ""
    store = _store(claim, driver)
    if store is None:
        return ""
    try:
        _, waiting = prepare(deployment, store, deployment.code_requirements, install=True)
    except DataPlaneUnreachable:
        raise
    except DataPlaneError as error:
        final = isinstance(error, PackagesRefused) or deployment.failures >= UPGRADE_TRIES
        if deployment.upgrade_from is None or not final:
            raise
        raise UpgradeFailed(f"the packages of its code were not to be had: {error}") from None
    return waiting


def _store(claim: Claim, driver: Driver) -> PackageStore | None:
    return driver.packages(ref_of(claim.deployment))
