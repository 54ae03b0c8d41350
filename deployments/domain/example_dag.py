"""The example that one click deploys. Pure."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from deployments.domain.code_manifest import CodeFile, Manifest


@dataclass(frozen=True)
class Example:
    """Files by path, and what they are as a manifest and as contents."""

    files: dict[str, bytes]

    @property
    def contents(self) -> dict[str, bytes]:
        """The files by their SHA-256."""
        return {sha256(content).hexdigest(): content for content in self.files.values()}

    @property
    def manifest(self) -> Manifest:
        """The manifest of the files."""
        rows = (CodeFile(path, sha256(each).hexdigest(), len(each)) for path, each in self.files.items())
        return Manifest.of(rows)


def _source() -> bytes:
    """It is no module of ours: it stands on Airflow."""
    return files("deployments.domain").joinpath("example_dag.py.txt").read_bytes()


EXAMPLE = Example({"hello_airdeck.py": _source()})
