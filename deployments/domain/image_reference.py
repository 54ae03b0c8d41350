"""Names of container images, as people write them: registry/repository:tag@digest. Pure.

The rules are those of the reference grammar that registries and container runtimes share (github.com/distribution/
reference): a registry is a first part with a dot or a port, or "localhost"; the rest is in lower case.
"""

import re
from dataclasses import dataclass

LONGEST = 500  # characters; a repository has at most 255, a tag 128, a digest 71
DOCKER_HUB = "docker.io"

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
_REGISTRY = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?")
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

EXAMPLE = "registry.example.com/team/airflow:2026-11-28"


@dataclass(frozen=True)
class ImageReference:
    """An image by its name. `registry` is "" when the name has none; `tag` and `digest` are "" when it has none."""

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def name(self) -> str:
        """Without tag and digest."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    def pinned(self, digest: str) -> str:
        """The one image of this digest, whatever becomes of the tag."""
        return f"{self.name}@{digest}"


def read(text: str) -> ImageReference:
    """The reference that a person wrote. Raises ValueError with a sentence."""
    if not text:
        raise ValueError(f"Enter the name of an image, such as {EXAMPLE}.")
    if len(text) > LONGEST:
        raise ValueError(f"Enter at most {LONGEST} characters.")
    if "://" in text:
        raise ValueError(f"Enter the name of an image without https:// before it, such as {EXAMPLE}.")
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ValueError("After the @ a digest is expected: sha256: and 64 digits and letters a to f.")
    first, slash, after = rest.partition("/")
    registry = first if slash and ("." in first or ":" in first or first == "localhost") else ""
    path = after if registry else rest
    repository, colon, tag = path.partition(":")
    if registry and not is_registry(registry):
        raise ValueError(
            f"“{registry}” is not a registry: a host name, with a port where it needs one, is expected."
        )
    if colon and not _TAG.fullmatch(tag):
        raise ValueError("A tag has letters, digits, dots, hyphens and underscores, at most 128.")
    if not _REPOSITORY.fullmatch(repository) or len(repository) > 255:
        raise ValueError(
            "Enter lowercase letters, digits, dots, hyphens and underscores between slashes, such as "
            f"{EXAMPLE}."
        )
    if not tag and not digest:
        raise ValueError("Name a tag or a digest too: without one it would be whatever is newest.")
    return ImageReference(registry, repository, tag, digest)


def is_registry(text: str) -> bool:
    """Whether this is the host name of a registry, with a port or without one."""
    return len(text) <= 255 and _REGISTRY.fullmatch(text) is not None


def digest_of(image_id: str) -> str:
    """The digest of the image that a container runs, from its imageID in the status of its pod: containerd and CRI-O
    write "repository@sha256:…", some put "docker-pullable://" before it. "" when it has none, as for an image that was
    loaded into a node by hand: then the text is the digest of its configuration, by which no other node can pull."""
    _, at, digest = image_id.partition("@")
    return digest if at and _DIGEST.fullmatch(digest) else ""


def same_minor(airflow: str, other: str) -> bool:
    """Whether two versions of Airflow are of one minor release: 3.3.1 and 3.3.2 are."""
    return airflow.split(".")[:2] == other.split(".")[:2]


def short(pinned: str) -> str:
    """For people: the name and the first twelve digits of the digest."""
    name, at, digest = pinned.partition("@")
    return f"{name}@{digest[:19]}" if at else name
