"""Fetches the uv that requirements.txt pins, without pip: its wheel from the package index, its hash checked."""

from __future__ import annotations

import base64
import hashlib
import netrc
import os
import platform
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from html.parser import HTMLParser
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from console.installer.reach import Reach
from console.installer.refusal import Refusal
from console.kit.packages import how_to_install

# Where to look when nothing is configured: "" leaves that to the machine's own pip, which knows.
DEFAULT_INDEX = ""
SECONDS = 30.0


@dataclass(frozen=True)
class Pinned:
    """A version of uv and the SHA-256 of each of its files."""

    version: str
    hashes: frozenset[str]


def pinned(requirements: str) -> Pinned:
    """What the text of requirements.txt says of uv."""
    found = re.search(r"^uv==(\S+)((?:\s*\\\n\s+--hash=sha256:[0-9a-f]{64})+)", requirements, re.MULTILINE)
    if found is None:
        raise Refusal("requirements.txt does not pin uv with hashes: run `git checkout requirements.txt`.")
    return Pinned(found[1], frozenset(re.findall(r"sha256:([0-9a-f]{64})", found[2])))


def uv(desired: Pinned, reach: Reach, folder: Path) -> Path:
    """Fetch the wheel of this kind of machine into `folder`, check it and unpack the program. Returns the program; the
    wheel stays beside it. Raises Refusal."""
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        raise Refusal(
            "Airdeck runs on Linux with glibc, which this is not: use Debian, Fedora, Arch or the like."
        )
    index = reach.index or DEFAULT_INDEX
    wheel = _from_index(desired, index, reach, folder) if index else _by_pip(desired, folder)
    _check(wheel, desired)
    return _unpacked(wheel, folder)


def _from_index(desired: Pinned, index: str, reach: Reach, folder: Path) -> Path:
    page, machine = index.rstrip("/") + "/uv/", platform.machine()
    client = _Client(reach)
    links = _Links(page)
    links.feed(
        client.get(page + ("index.html" if page.startswith("file:") else "")).decode("utf-8", "replace")
    )
    for name, address in links.found:
        ours = name.startswith(f"uv-{desired.version}-py3-none-manylinux")
        if ours and name.endswith((f"_{machine}.whl", f".{machine}.whl")):
            file = folder / name
            file.write_bytes(client.get(address))
            return file
    raise Refusal(
        f"the package index at {_host(index)} has no uv {desired.version} for {machine}: "
        "update the index, or name another one in UV_DEFAULT_INDEX."
    )


def _by_pip(desired: Pinned, folder: Path) -> Path:
    """Where no index is configured, this Python's pip knows the usual one."""
    lock = folder / "uv.txt"
    lock.write_text(
        f"uv=={desired.version} {' '.join(f'--hash=sha256:{digest}' for digest in sorted(desired.hashes))}\n"
    )
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    argv += ["--only-binary=:all:", "--require-hashes", "--dest", str(folder), "-r", str(lock)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    wheel = next(folder.glob("uv-*.whl"), None)
    if wheel is not None and done.returncode == 0:
        return wheel
    if "No module named pip" in done.stderr:
        pip = how_to_install(debian="python3-pip", fedora="python3-pip", arch="python-pip")
        raise Refusal(
            f"no Python package index is configured: name one in UV_DEFAULT_INDEX, or install pip ({pip})."
        )
    message = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
    raise Refusal(
        f"pip could not fetch uv ({message[:200]}): check this machine's network, proxy and package index."
    )


def _check(wheel: Path, desired: Pinned) -> None:
    if hashlib.sha256(wheel.read_bytes()).hexdigest() not in desired.hashes:
        wheel.unlink()
        raise Refusal(
            "the uv that the package index sent is not the one that requirements.txt names (its hash differs), so it "
            "was thrown away: check the package index and the proxy."
        )


def _unpacked(wheel: Path, folder: Path) -> Path:
    program = folder / "uv"
    with zipfile.ZipFile(wheel) as archive:
        inside = next(name for name in archive.namelist() if name.endswith(".data/scripts/uv"))
        program.write_bytes(archive.read(inside))
    program.chmod(0o700)
    return program


class _Client:
    """HTTP as the standard library does it, with what is configured for pip and uv."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._seconds = _seconds()
        proxies = urllib.request.getproxies()
        whole = reach.proxy or proxies.get("all", "")
        self._proxies = {**({"http": whole, "https": whole} if whole else {}), **proxies}

    def get(self, address: str) -> bytes:
        """The body. Raises Refusal."""
        plain, headers = _credentials(address)
        request = urllib.request.Request(plain, headers={"Accept": "text/html, */*;q=0.1", **headers})  # noqa: S310
        try:
            return self._open(request)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                raise Refusal(_answered(plain, error.code)) from None
        except (OSError, ValueError, HTTPException) as error:
            if _untrusted(error):
                raise Refusal(_unreached(plain, error)) from None
        try:  # once more: an index or a proxy may fail once
            return self._open(request)
        except urllib.error.HTTPError as error:
            error.close()
            raise Refusal(_answered(plain, error.code)) from None
        except (OSError, ValueError, HTTPException) as error:
            raise Refusal(_unreached(plain, error)) from None

    def _open(self, request: urllib.request.Request) -> bytes:
        with self._opener(request.full_url).open(request, timeout=self._seconds) as answer:
            return bytes(answer.read())

    def _opener(self, address: str) -> urllib.request.OpenerDirector:
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler(self._proxies)]
        handlers.append(urllib.request.HTTPSHandler(context=self._context(address)))
        return urllib.request.build_opener(*handlers)

    def _context(self, address: str) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self._reach.ca_file or None)
        except OSError as error:
            raise Refusal(
                f"the certificates in {self._reach.ca_file} cannot be read ({error.strerror}): fix SSL_CERT_FILE "
                "or PIP_CERT."
            ) from None
        parts = urlsplit(address)
        if {parts.hostname, parts.netloc.rpartition("@")[2]} & set(self._reach.trusted):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _seconds() -> float:
    for name in ("UV_HTTP_TIMEOUT", "PIP_DEFAULT_TIMEOUT"):
        if re.fullmatch(r"[0-9]+", os.environ.get(name, "")):
            return float(os.environ[name])
    return SECONDS


def _credentials(address: str) -> tuple[str, dict[str, str]]:
    """The address without its password, and the header that carries it; ~/.netrc is asked where it has none."""
    parts = urlsplit(address)
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not user and parts.hostname:
        try:
            entry = netrc.netrc().authenticators(parts.hostname)
        except (OSError, netrc.NetrcParseError):
            entry = None
        user, password = (entry[0], entry[2] or "") if entry else ("", "")
    if not user:
        return plain, {}
    return plain, {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def _host(address: str) -> str:
    """What may be shown of an address: neither its password nor its path."""
    return urlsplit(address).hostname or urlsplit(address).path


def _answered(address: str, code: int) -> str:
    if code in {401, 403, 407}:
        return (
            f"the package index at {_host(address)} or its proxy refuses this machine ({code}): put the user and the "
            "password into the address, or into ~/.netrc."
        )
    return f"the package index at {_host(address)} answers {code}: check its address (UV_DEFAULT_INDEX, PIP_INDEX_URL)."


def _untrusted(error: Exception) -> bool:
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _unreached(address: str, error: Exception) -> str:
    if _untrusted(error):
        every = how_to_install(debian="ca-certificates", fedora="ca-certificates", arch="ca-certificates")
        return (
            f"the certificate of {_host(address)} is not trusted on this machine: install the usual ones ({every}), or "
            "name a file of your own in SSL_CERT_FILE."
        )
    cause = getattr(error, "reason", error)
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return (
        f"the package index at {_host(address)} cannot be reached ({reason}): check this machine's network, "
        "HTTPS_PROXY and UV_DEFAULT_INDEX."
    )


class _Links(HTMLParser):
    """The files of a page of the simple index: names and addresses."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._page = page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href") or ""
        if tag == "a" and target:
            address = urljoin(self._page, target.partition("#")[0])
            self.found.append(
                (unquote(urlsplit(address).path.rpartition("/")[2]), _keeping(self._page, address))
            )


def _keeping(page: str, address: str) -> str:
    """`address`, with the page's user and password when it is on the same host."""
    here, there = urlsplit(page), urlsplit(address)
    if here.username and not there.username and here.hostname == there.hostname:
        return urlunsplit(there._replace(netloc=f"{here.netloc.rpartition('@')[0]}@{there.netloc}"))
    return address
