"""Images on the scripted data plane (`fake`): an ImageChecker in memory."""

import hashlib
from dataclasses import dataclass, field

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.images import ImageLook, ImageRefused, ImageWish
from deployments.domain import image_reference


@dataclass
class ScriptedImages:
    """A tag leads to what `tags` says, else to the SHA-256 of its name. Tests set `refuse` (by reference), `fail`, and
    how many calls `slow` waits for; `looked` holds every key and reference, `logins` what it was pulled with."""

    tags: dict[str, str] = field(default_factory=dict)
    refuse: dict[str, str] = field(default_factory=dict)
    fail: str = ""
    slow: int = 0
    looked: list[tuple[str, str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    forgotten: int = 0

    def look(self, wish: ImageWish) -> ImageLook:
        if self.fail:
            raise DataPlaneError(self.fail)
        if (wish.key, wish.reference) not in self.looked:
            self.looked.append((wish.key, wish.reference))
            self.logins.append(wish.secrets.registry_login)
        if self.slow > 0:
            self.slow -= 1
            return ImageLook(waiting="Pulling the image.")
        if why := self.refuse.get(wish.reference):
            raise ImageRefused(why)
        found = image_reference.read(wish.reference)
        of_tag = hashlib.sha256(self.tags.get(wish.reference, wish.reference).encode()).hexdigest()
        pinned = found.pinned(found.digest or f"sha256:{of_tag}")
        return ImageLook(pinned, wish.runtime.airflow_version, "3.12.7")

    def forget(self) -> None:
        self.forgotten += 1
