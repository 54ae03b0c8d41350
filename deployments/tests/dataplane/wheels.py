"""A package index of tiny wheels, in a folder: what uv takes as `file://…` or over loopback."""

import base64
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path


class Index:
    """A simple index below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """For UV_DEFAULT_INDEX."""
        return self.folder.as_uri()

    def wheel(self, name: str, version: str, files: dict[str, str] | None = None, *requires: str) -> None:
        """Publish a wheel; without `files` it has one module of its name, which holds its version."""
        module = name.replace("-", "_")
        files = {f"{module}.py": f"VERSION = {version!r}\n"} if files is None else files
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {each}\n" for each in requires)
        info = f"{module}-{version}.dist-info"
        kind = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        entries = {**files, f"{info}/METADATA": metadata, f"{info}/WHEEL": kind}
        record = ""
        with zipfile.ZipFile(self._place(name) / f"{module}-{version}-py3-none-any.whl", "w") as archive:
            for path, text in entries.items():
                archive.writestr(path, text)
                digest = (
                    base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
                )
                record += f"{path},sha256={digest},{len(text.encode())}\n"
            archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
        self._list(name)

    def source(self, name: str, version: str) -> None:
        """Publish a package that comes as source only."""
        stem = f"{name.replace('-', '_')}-{version}"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        with tarfile.open(self._place(name) / f"{stem}.tar.gz", "w:gz") as archive:
            entry = tarfile.TarInfo(f"{stem}/PKG-INFO")
            entry.size = len(metadata)
            archive.addfile(entry, io.BytesIO(metadata))
        self._list(name)

    def _place(self, name: str) -> Path:
        place = self.folder / name
        place.mkdir(exist_ok=True)
        return place

    def _list(self, name: str) -> None:
        place = self.folder / name
        links = (
            f'<a href="{file.name}">{file.name}</a>'
            for file in sorted(place.iterdir())
            if file.suffix != ".html"
        )
        (place / "index.html").write_text("\n".join(links))
