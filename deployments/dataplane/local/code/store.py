"""The code of one Deployment in the state folder.

    code/blobs/ab/abcdef…      contents by SHA-256, read-only
    code/manifests/DIGEST      manifests
    code/versions/NAME/        a version, its files hard links to the contents: it costs no room
    code/plugins/DIGEST/       Airflow plugins of a project, the same way; they have no versions
    code/current               a link to the active version, replaced by rename
    code/scratch/              what is being taken apart or built; whatever is old here was cut short

Everything appears by rename, so that a process that is killed leaves nothing half. Airflow reads and never writes here:
what runs is what was deployed. Where Airflow has an account of its own, every user may read versions, and the folder
of the Deployment lets only that account pass.
"""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from console.kit.files import flush
from deployments.dataplane.code import STORE_BYTES, CodeDamaged, CodeFull, CodeReport
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.code.folder import take_folder
from deployments.dataplane.postgres import airflow_metadata
from deployments.domain.code_manifest import EMPTY, CodeFile, CodeVersion, Manifest, difference
from deployments.domain.code_project import plugins_digest, plugins_of

YOUNG_SECONDS = 3600  # what is younger may belong to a deploy that no one has written down yet
PARSE_SECONDS = 8  # a parse that is under way has ended by then
CHUNK = 1024 * 1024
DAMAGED = "damaged-"  # before the name of a content that is not what it was; dropped with what is old
FULL = "The disk of this machine is full. Make room and deploy again; the code that runs is not touched."


class LocalCode:
    """The CodeStore of a Deployment. `folder` is its folder, which exists once it was applied.
    `code.CodeStore` says what holds of every method."""

    def __init__(self, folder: Path, admin_url: str, release_name: str) -> None:
        self._dags = folder / "dags"
        self._root = folder / "code"
        self._admin_url, self._release_name = admin_url, release_name

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        if not self._root.parent.is_dir():  # it was deleted in the meantime, and is not to come back
            raise DataPlaneError(
                "This Deployment has no folder on this machine any more. Nothing can be deployed to it."
            )
        folder = self._root / "scratch" / uuid4().hex
        with _full_disk_in_words():
            folder.mkdir(mode=0o700, parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def receive(self, scratch: Path, manifest: Manifest) -> None:
        contents = {file.sha256: file.size for file in manifest.files}
        with _full_disk_in_words():
            new = {sha256: size for sha256, size in contents.items() if not self._blob(sha256).exists()}
            if self._size() + sum(new.values()) > STORE_BYTES:
                raise CodeFull(
                    f"The kept versions of this Deployment's code fill its {STORE_BYTES // 1024**3} GiB. Deploy less, "
                    "or wait until older versions are no longer kept (90 days)."
                )
            for sha256, size in contents.items():
                self._keep_blob(scratch / sha256, self._blob(sha256), size)
            self._write(self._root / "manifests" / manifest.digest, manifest.document)

    def _keep_blob(self, incoming: Path, blob: Path, size: int) -> None:
        with suppress(FileNotFoundError):
            os.utime(blob)  # young again: it is not dropped while this deploy is written down
            if blob.stat().st_size == size:  # else a power cut took its content
                return
        blob.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        incoming.chmod(0o444)
        incoming.rename(blob)

    def read(self, file: CodeFile) -> bytes:
        try:
            content = self._blob(file.sha256).read_bytes()
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise _damaged(file)
        return content

    def folder(self) -> Manifest | None:
        if self.active() or not self._dags.is_dir():
            return None
        with self.scratch() as scratch:
            manifest = take_folder(self._dags, scratch)
            if not manifest.files:
                return None
            self.receive(scratch, manifest)
        return manifest

    # -- Versions --

    def build(self, code: CodeVersion) -> None:
        version = self._root / "versions" / code.name
        if version.is_dir() and (not code.plugins or (self._root / "plugins" / code.plugins).is_dir()):
            return
        manifest = self._manifest(code.manifest)
        plugins = plugins_of(manifest)
        if plugins.files:
            self._put_together(plugins, self._root / "plugins" / plugins.digest)
        self._put_together(manifest, version)

    def _put_together(self, manifest: Manifest, place: Path) -> None:
        """A folder of these files, each proven, which appears at once; there already is success."""
        if place.is_dir():
            return
        with self.scratch() as draft, _full_disk_in_words():
            for file in manifest.files:
                self._prove(file)
                target = draft / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                self._link(file, target)
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (place.parent, draft, *(each for each in draft.rglob("*") if each.is_dir())):
                folder.chmod(0o755)
            flush(draft)  # after a power cut the version is whole or not there: nothing proves it again
            with suppress(OSError):  # another process made it in the meantime
                draft.rename(place)
        if not place.is_dir():
            raise DataPlaneError(f"The version {place.name} could not be put in place. It is tried again.")

    def activate(self, code: CodeVersion) -> bool:
        """Make the version the one that runs. Whether it was not."""
        if self.active() == code.name:
            return False
        self.build(code)
        version = self._root / "versions" / code.name
        with _full_disk_in_words():
            self._freshen(code, version)
            draft = self._root / f".current.{uuid4().hex}"
            draft.symlink_to(Path("versions") / code.name)
            draft.replace(self._root / "current")
        return True

    def _freshen(self, code: CodeVersion, version: Path) -> None:
        """What changed is younger than whatever the DAG processor has read or is reading: it parses that first and
        again, and not only when its interval has passed. Airflow notes down a parse that began before the change as one
        of the new version, so without the second parse that would stand for the whole interval."""
        try:
            before = self._manifest(self._note().get(self.active(), ""))
        except CodeDamaged:
            before = EMPTY
        changes = difference(before, self._manifest(code.manifest))
        soon = time.time() + PARSE_SECONDS
        for path in (*changes.added, *changes.changed):
            os.utime(version / path, (soon, soon))
        self._write(self._root / "manifest-of-current", f"{code.name} {code.manifest}")

    def _note(self) -> dict[str, str]:
        """The manifest of the version that was activated last."""
        try:
            name, digest = (self._root / "manifest-of-current").read_text().split()
        except (OSError, ValueError):
            return {}
        return {name: digest}

    def active(self) -> str:
        try:
            name = Path(os.readlink(self._root / "current")).name
        except OSError:
            return ""
        return name if (self._root / "versions" / name).is_dir() else ""

    def report(self) -> CodeReport:
        return airflow_metadata.code_report(self._admin_url, self._release_name)

    # -- Dropping --

    def keep(self, manifests: frozenset[str], versions: frozenset[str]) -> None:
        needed = {self.active(), *versions}
        old = time.time() - YOUNG_SECONDS
        for folder in _children(self._root / "versions"):
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)
        self._drop_plugins(old)
        for folder in _children(self._root / "scratch"):
            if folder.stat().st_mtime < old:
                shutil.rmtree(folder, ignore_errors=True)
        kept: set[str] = set()
        for file in _children(self._root / "manifests"):
            if file.name not in manifests and file.stat().st_mtime < old:
                file.unlink(missing_ok=True)
            else:
                kept |= {each.sha256 for each in Manifest.read(file.read_text()).files}
        for near in _children(self._root / "blobs"):
            for blob in _children(near):
                if blob.name not in kept and blob.stat().st_mtime < old:
                    blob.unlink(missing_ok=True)

    def _drop_plugins(self, old: float) -> None:
        """But those of the active version, and what is being activated; going back puts them together again."""
        try:
            needed = plugins_digest(self._manifest(self._note().get(self.active(), "")))
        except CodeDamaged:
            return
        for folder in _children(self._root / "plugins"):
            if folder.name != needed and folder.stat().st_mtime < old:
                shutil.rmtree(folder, ignore_errors=True)

    # -- Contents --

    def _blob(self, sha256: str) -> Path:
        return self._root / "blobs" / sha256[:2] / sha256

    def _size(self) -> int:
        total = 0
        for near in _children(self._root / "blobs"):
            for blob in _children(near):
                with suppress(FileNotFoundError):
                    total += blob.stat().st_size
        return total

    def _manifest(self, digest: str) -> Manifest:
        try:
            manifest = Manifest.read((self._root / "manifests" / digest).read_text())
        except (OSError, ValueError):
            raise CodeDamaged("The list of files of this version is gone. Deploy its code again.") from None
        if manifest.digest != digest:
            raise CodeDamaged("The list of files of this version is damaged. Deploy its code again.")
        return manifest

    def _prove(self, file: CodeFile) -> None:
        digest, blob = hashlib.sha256(), self._blob(file.sha256)
        try:
            with blob.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
        except OSError:
            raise _damaged(file) from None
        if digest.hexdigest() != file.sha256:
            with suppress(OSError):  # out of the way of the next deploy, which brings it again
                blob.rename(blob.with_name(f"{DAMAGED}{blob.name}"))
            raise _damaged(file)

    def _link(self, file: CodeFile, place: Path) -> None:
        if not file.executable:  # else a mode of its own, and so a copy
            try:
                os.link(self._blob(file.sha256), place)
            except OSError as error:
                if error.errno != errno.EMLINK:  # a file system takes only so many links to one content
                    raise
            else:
                return
        shutil.copyfile(self._blob(file.sha256), place)
        place.chmod(0o555 if file.executable else 0o444)

    def _write(self, file: Path, text: str) -> None:
        if file.exists() and file.read_text() == text:
            os.utime(file)
            return
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{uuid4().hex}")
        draft.write_text(text)
        draft.replace(file)


def _children(folder: Path) -> list[Path]:
    try:
        return [each for each in folder.iterdir() if not each.name.startswith(".")]
    except FileNotFoundError:
        return []


def _damaged(file: CodeFile) -> CodeDamaged:
    return CodeDamaged(f"The stored content of {file.path} is gone or damaged. Deploy the code again.")


@contextmanager
def _full_disk_in_words() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise CodeFull(FULL) from error
        raise DataPlaneError(
            f"The state folder of this machine cannot be written ({error.strerror}). Fix that; it is tried again."
        ) from error
