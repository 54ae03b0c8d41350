"""Deployed code: each content once for each Deployment, from its data plane and back into it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.db.models import QuerySet

from console.backup.archive import BackupRefused, Reader, Writer
from deployments.clusters import connections
from deployments.dataplane.code import CodeStore
from deployments.dataplane.contract import DataPlaneError, Ref
from deployments.domain.code_manifest import Manifest
from deployments.models import CodeManifest, Deployment


def pack(writer: Writer) -> int:
    """The contents of all code that is kept; how many. Raises BackupRefused when a data plane does not hand one out."""
    count = 0
    for deployment, manifests in _with_code():
        store, saved = _store(deployment), set[str]()
        for row in manifests:
            for file in row.opened().files:
                if file.sha256 in saved:
                    continue
                try:
                    writer.add(f"code/{deployment.release_name}/{file.sha256}", store.read(file))
                except DataPlaneError as error:
                    raise BackupRefused(
                        f"The code of {deployment.release_name} cannot be read: {error} "
                        "Fix that, or add --without-code."
                    ) from None
                saved.add(file.sha256)
        count += len(saved)
    return count


@dataclass
class Loaded:
    """What became of the code of each Deployment. `missing`: a sentence for each whose data plane does not take it now,
    which may be tried again; `notes`: for each of which not all was in the backup."""

    back: int = 0
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def load(reader: Reader) -> Loaded:
    """Put them back where they belong. The rows are back already, and passes make the version active that they name.
    What is there already is not touched, so this may be repeated."""
    held, loaded = _held(reader), Loaded()
    for deployment, manifests in _with_code():
        name = deployment.release_name
        if name not in held:
            continue
        try:
            lost = _receive(reader, deployment, list(manifests))
        except DataPlaneError as error:
            loaded.missing.append(f"The code of {name} is not back: {error}")
            continue
        loaded.back += 1
        if lost:
            loaded.notes.append(f"Not all code of {name} is back: {lost}")
    return loaded


def _held(reader: Reader) -> set[str]:
    return {name.split("/")[1] for name in reader.contents_of("code")}


def _receive(reader: Reader, deployment: Deployment, manifests: list[CodeManifest]) -> str:
    """A sentence when not all of it was in the backup; "" when it was. Raises DataPlaneError."""
    prefix = f"code/{deployment.release_name}/"
    store, opened = _store(deployment), [row.opened() for row in manifests]
    digests = {file.sha256 for manifest in opened for file in manifest.files}
    with store.scratch() as scratch:
        for name, stream in reader.members():
            if name.startswith(prefix) and (sha256 := name.removeprefix(prefix)) in digests:
                (scratch / sha256).write_bytes(stream.read())
        return _stored(store, scratch, opened, held=reader.contents_of(prefix.rstrip("/")), prefix=prefix)


def _stored(
    store: CodeStore, scratch: Path, manifests: list[Manifest], *, held: set[str], prefix: str
) -> str:
    """What a store has of an earlier manifest it takes no second time. Of one that was dropped after the backup's rows
    were read, the contents may be missing; the others are taken all the same."""
    lost = 0
    for manifest in manifests:
        try:
            store.receive(scratch, manifest)
        except (DataPlaneError, FileNotFoundError):
            if all(prefix + file.sha256 in held for file in manifest.files):
                raise
            lost += 1
    return (
        f"{lost} of {len(manifests)} kept versions were dropped while the backup was taken." if lost else ""
    )


def _with_code() -> Iterator[tuple[Deployment, QuerySet[CodeManifest]]]:
    """Those whose code counts. While one is being deleted its data plane drops the code before the row."""
    rows = Deployment.objects.filter(
        delete_requested_at__isnull=True, code_manifests__isnull=False
    ).distinct()
    for deployment in rows.select_related("cluster"):
        yield deployment, CodeManifest.objects.filter(deployment=deployment)


def _store(deployment: Deployment) -> CodeStore:
    store = connections.driver_of(deployment.cluster).code(Ref(str(deployment.pk), deployment.release_name))
    if store is None:
        raise DataPlaneError("Its data plane keeps no code.")
    return store
