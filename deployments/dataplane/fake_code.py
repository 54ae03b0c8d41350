"""The code of a Deployment on the scripted data plane (`fake`): a CodeStore in memory, held to the same contract."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from deployments.dataplane.code import CodeDamaged, CodeReport, ImportProblem
from deployments.dataplane.contract import DataPlaneError
from deployments.domain.code_manifest import CodeFile, CodeVersion, Manifest


class ScriptedScratch(TemporaryDirectory[str]):
    """A fresh folder."""

    def __enter__(self) -> Path:  # type: ignore[override]
        return Path(super().__enter__())


@dataclass
class ScriptedCode:
    """The CodeStore of one Deployment, in memory. Tests set `loose` (the DAGs folder), `problems`, `pinned` and `fail`,
    and may take contents out of `contents`. `code.CodeStore` says what holds of every method."""

    contents: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    versions: dict[str, Manifest] = field(default_factory=dict)
    current: str = ""
    loose: dict[str, bytes] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)  # path -> the last line
    pinned: frozenset[str] = frozenset()
    fail: str = ""  # the sentence with which `build` fails

    def scratch(self) -> AbstractContextManager[Path]:
        return ScriptedScratch()

    def receive(self, scratch: Path, manifest: Manifest) -> None:
        for file in manifest.files:
            if file.sha256 not in self.contents:
                self.contents[file.sha256] = (scratch / file.sha256).read_bytes()
        self.manifests[manifest.digest] = manifest

    def read(self, file: CodeFile) -> bytes:
        if file.sha256 not in self.contents:
            raise CodeDamaged(f"The stored content of {file.path} is gone or damaged. Deploy the code again.")
        return self.contents[file.sha256]

    def folder(self) -> Manifest | None:
        if self.current or not self.loose:
            return None
        sums = {path: sha256(content).hexdigest() for path, content in self.loose.items()}
        manifest = Manifest.of(CodeFile(path, sums[path], len(self.loose[path])) for path in self.loose)
        self.contents |= {sums[path]: content for path, content in self.loose.items()}
        self.manifests[manifest.digest] = manifest
        return manifest

    def build(self, code: CodeVersion) -> None:
        if self.fail:
            raise DataPlaneError(self.fail)
        if code.name not in self.versions:
            if code.manifest not in self.manifests:
                raise CodeDamaged("The list of files of this version is gone. Deploy its code again.")
            for file in self.manifests[code.manifest].files:
                self.read(file)
            self.versions[code.name] = self.manifests[code.manifest]

    def activate(self, code: CodeVersion) -> bool:
        """Make the version the one that runs. Whether it was not."""
        if self.current == code.name:
            return False
        self.build(code)
        self.current = code.name
        return True

    def active(self) -> str:
        return self.current

    def report(self) -> CodeReport:
        problems = tuple(ImportProblem(path, line) for path, line in self.problems.items())
        dags = self.versions[self.current].python_files - len(problems) if self.current else 0
        return CodeReport(self.current, dags, len(problems), problems, self.pinned)

    def keep(self, manifests: frozenset[str], versions: frozenset[str]) -> None:
        """Drops at once what is not needed: nothing here counts as younger than an hour."""
        needed = {self.current, *versions}
        self.versions = {name: each for name, each in self.versions.items() if name in needed}
        self.manifests = {digest: each for digest, each in self.manifests.items() if digest in manifests}
        kept = {file.sha256 for each in self.manifests.values() for file in each.files}
        self.contents = {sum_: content for sum_, content in self.contents.items() if sum_ in kept}
