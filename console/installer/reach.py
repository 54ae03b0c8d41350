"""How this machine reaches its Python package index, as pip and uv are configured: their variables and their files.

uv's word goes before pip's, a variable before a file, a person's file before the machine's. Not read: further indexes
(`extra-index-url`), keyrings and client certificates; uv reads its own for all but its own wheel.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MACHINE = Path("/")
CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
NAMED = re.compile(r"[A-Za-z0-9._-]+=(?=[a-z]+:)")  # uv takes NAME=ADDRESS
OWN_INDEX = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
OWN_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS")


@dataclass(frozen=True)
class Reach:
    """`index` is the address of a simple index, which may hold a password; "" when none is configured. `proxy` and
    `ca_file` are "" where the standard variables alone decide. `trusted` are hosts whose certificate is not checked."""

    index: str = ""
    ca_file: str = ""
    proxy: str = ""
    trusted: tuple[str, ...] = ()


def read(environ: Mapping[str, str], *, root: Path = MACHINE) -> Reach:
    """What is configured. `root` is where the machine's own files lie; a file that cannot be read says nothing."""
    pip = _Pip(environ, root)
    own = next((environ[name] for name in OWN_INDEX if environ.get(name)), "") or _uv_index(environ, root)
    trusted = f"{environ.get('UV_INSECURE_HOST', '')} {pip.value('trusted-host')}"
    return Reach(
        index=NAMED.sub("", own.strip(), count=1) or pip.value("index-url"),
        ca_file=environ.get("SSL_CERT_FILE") or pip.value("cert") or _first(environ, CERTIFICATES),
        proxy=pip.value("proxy"),
        trusted=tuple(re.split(r"[\s,]+", trusted.strip())) if trusted.strip() else (),
    )


def for_uv(environ: Mapping[str, str], *, root: Path = MACHINE) -> dict[str, str]:
    """The variables that set for uv what is set for pip, beside `environ`. What is set for uv itself stays as it is."""
    found = read(environ, root=root)
    more: dict[str, str] = {}
    if found.index and not _first(environ, OWN_INDEX) and not _uv_index(environ, root):
        more["UV_DEFAULT_INDEX"] = found.index
    if found.ca_file and not environ.get("SSL_CERT_FILE"):
        more["SSL_CERT_FILE"] = found.ca_file
    elif not _first(environ, OWN_TRUST):
        more["UV_SYSTEM_CERTS"] = "true"  # those that this machine trusts, as the fetch of uv did
    if found.proxy:
        more |= {
            name: found.proxy for name in ("HTTP_PROXY", "HTTPS_PROXY") if not _either_case(environ, name)
        }
    if found.trusted and not environ.get("UV_INSECURE_HOST"):
        more["UV_INSECURE_HOST"] = " ".join(found.trusted)
    return more


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _either_case(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.lower()) or ""


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or os.path.expanduser("~"))


def _config_homes(environ: Mapping[str, str], root: Path) -> list[Path]:
    """Folders of configuration, a person's first."""
    own = Path(environ.get("XDG_CONFIG_HOME") or _home(environ) / ".config")
    shared = [Path(folder) for folder in environ.get("XDG_CONFIG_DIRS", "").split(":") if folder]
    return [own, *(shared or [root / "etc/xdg"])]


def _uv_index(environ: Mapping[str, str], root: Path) -> str:
    """The default index of uv's files, or ""."""
    if environ.get("UV_NO_CONFIG"):
        return ""
    named = environ.get("UV_CONFIG_FILE")
    files = [folder / "uv/uv.toml" for folder in _config_homes(environ, root)]
    for file in [Path(named)] if named else [*files, root / "etc/uv/uv.toml"]:
        found = _index_of(_text(file))
        if found:
            return found
    return ""


def _index_of(toml: str) -> str:
    try:
        import tomllib
    except ImportError:  # before Python 3.11: the one line that most files consist of
        found = re.search(r"""^\s*index-url\s*=\s*["']([^"']+)""", toml, re.MULTILINE)
        return found[1] if found else ""
    try:
        document = tomllib.loads(toml)
    except tomllib.TOMLDecodeError:
        return ""
    entries = document.get("index", [])
    default = [entry.get("url", "") for entry in entries if isinstance(entry, dict) and entry.get("default")]
    return str(
        next(iter(default), "") or document.get("index-url") or document.get("pip", {}).get("index-url") or ""
    )


class _Pip:
    """pip's settings: PIP_NAME, else the first of its files that names it."""

    def __init__(self, environ: Mapping[str, str], root: Path) -> None:
        self._environ = environ
        self._parsed = [_parsed(file) for file in self._files(root)]

    def value(self, name: str) -> str:
        """The setting, as pip spells it in files ("index-url"), or ""."""
        own = self._environ.get(f"PIP_{name.upper().replace('-', '_')}")
        if own:
            return own.strip()
        for parsed in self._parsed:
            for section in ("install", "global"):
                found = parsed.get(section, name, fallback="").strip()
                if found:
                    return found
        return ""

    def _files(self, root: Path) -> Iterator[Path]:
        named = self._environ.get("PIP_CONFIG_FILE")
        if named == os.devnull:
            return
        if named:
            yield Path(named)
        own, *shared = _config_homes(self._environ, root)
        yield own / "pip/pip.conf"
        yield _home(self._environ) / ".pip/pip.conf"
        for folder in shared:
            yield folder / "pip/pip.conf"
        yield root / "etc/pip.conf"


def _parsed(file: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(_text(file))
    except configparser.Error:
        return configparser.RawConfigParser()
    return parser


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
