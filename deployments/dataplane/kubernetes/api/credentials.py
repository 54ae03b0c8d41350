"""Credentials for a cluster, out of an untrusted kubeconfig.

Loading a kubeconfig as kubectl does runs programs and sends local files to the server. Here a kubeconfig is data:
only a server, inline certificates and a token come out of it. Whatever would run, read or redirect is refused.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from deployments.dataplane.contract import DataPlaneError

MAX_BYTES = 256 * 1024
LONGEST_TOKEN = 16 * 1024
_PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\n[\x09-\x7e]*?\n-----END \1-----")
_HOST = re.compile(r"[A-Za-z0-9._:-]{0,253}")
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

# Key -> why it is refused. Each would run a program, read a file of this machine, or send the traffic elsewhere.
REFUSED_IN_USER = {
    "exec": "runs a program to sign in (users[].user.exec). Use a service account's token",
    "auth-provider": "uses an auth-provider plugin. Use a service account's token",
    "tokenFile": "reads its token from a file (tokenFile). Put the token itself in, or name the file with --token-file",
    "client-certificate": "names a certificate file. Put it in as client-certificate-data",
    "client-key": "names a key file. Put it in as client-key-data",
    "username": "signs in with a password. Use a token or a client certificate",
    "password": "signs in with a password. Use a token or a client certificate",
    "as": "impersonates another user (as). Use that account's own token",
    "as-uid": "impersonates another user (as-uid). Use that account's own token",
    "as-groups": "impersonates other groups (as-groups). Use an account that has these rights",
    "as-user-extra": "impersonates another user (as-user-extra). Use that account's own token",
}
REFUSED_IN_CLUSTER = {
    "certificate-authority": "names a certificate file. Put it in as certificate-authority-data",
    "proxy-url": "sends its traffic through a proxy (proxy-url). Name the proxy in the setting api_proxy",
    "insecure-skip-tls-verify": "switches off the check of the server's certificate. Put the authority's "
    "certificate in as certificate-authority-data",
}


_STORED = ("ca_pem", "token", "client_pem", "tls_server_name", "token_file")  # beside "server"


class KubeconfigError(DataPlaneError):
    """A kubeconfig that cannot be used. `str()` says what to change, and holds nothing secret."""


@dataclass(frozen=True, repr=False)
class Credentials:
    """How to reach one API server, and as whom. PEM texts are in the clear: never logged, no repr.

    `token_file` is read again and again, for a token that something replaces: that of the service account in a pod, or
    one that an operator names on the command line. No page takes one: it is a file of this machine. `proxy` is a
    setting of the cluster (`ClusterSettings.api_proxy`), which comes and goes with the others.
    """

    server: str  # https://host[:port][/path], without a slash at the end
    ca_pem: str = ""  # "": the machine's own authorities
    token: str = ""
    client_pem: str = ""  # certificate and key, one after the other
    tls_server_name: str = ""
    token_file: str = ""
    proxy: str = ""

    def __repr__(self) -> str:
        return "Credentials(…)"

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> "Credentials":
        """Out of `ClusterConfig.settings`, into which `settings()` put them. Raises KeyError without a server."""
        found = {name: settings.get(name, "") for name in _STORED}
        return cls(server=settings["server"], proxy=settings.get("api_proxy", ""), **found)

    def settings(self) -> dict[str, str]:
        """For `ClusterConfig.settings`, which is sealed: what of a kubeconfig is kept, and nothing else of it."""
        found = {name: str(getattr(self, name)) for name in ("server", *_STORED)}
        return {name: value for name, value in found.items() if value}

    @property
    def key(self) -> str:
        """The same for the same credentials, and nothing can be learnt from it."""
        parts = (self.server, self.proxy, *(str(getattr(self, name)) for name in _STORED))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class _PlainLoader(yaml.SafeLoader):
    """No aliases: 236 bytes of them can grow to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise KubeconfigError("The kubeconfig uses YAML aliases, which it does not need. Write it out.")
        return super().compose_node(parent, index)


def parse(text: str, context: str = "", token_file: str = "") -> Credentials:
    """The credentials of `context` (by default the current one). An operator's `token_file` goes before a token in it.
    Raises KubeconfigError."""
    document = _load(text)
    contexts = _named(document, "contexts", "context")
    name = context or _text(document.get("current-context"))
    if not name:
        raise KubeconfigError("The kubeconfig has no current-context. Name one with --context.")
    if name not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise KubeconfigError(f"The kubeconfig has no context “{name[:100]}”. It has: {known[:300]}.")
    cluster = _one(_named(document, "clusters", "cluster"), _text(contexts[name].get("cluster")), "cluster")
    user = _one(_named(document, "users", "user"), _text(contexts[name].get("user")), "user")
    _refuse(cluster, REFUSED_IN_CLUSTER)
    _refuse(user, REFUSED_IN_USER)
    certificate, key = _pem(user, "client-certificate-data"), _pem(user, "client-key-data")
    if bool(certificate) != bool(key):
        raise KubeconfigError("The kubeconfig has a client certificate without its key, or the reverse.")
    token = _token(read_token(token_file) if token_file else _text(user.get("token")).strip())
    if not token and not certificate:
        raise KubeconfigError(
            "The kubeconfig holds no token and no client certificate. Airdeck cannot sign in."
        )
    return Credentials(
        server=_server(_text(cluster.get("server"))),
        ca_pem=_pem(cluster, "certificate-authority-data"),
        token=token,
        client_pem=f"{certificate.rstrip()}\n{key}" if certificate else "",
        tls_server_name=_tls_server_name(_text(cluster.get("tls-server-name"))),
        token_file=token_file,
    )


def read_token(path: str) -> str:
    """What a token file holds now. Raises KubeconfigError."""
    try:
        with Path(path).open() as file:
            text = file.read(LONGEST_TOKEN + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise KubeconfigError(f"The token file {path} cannot be read: {why}.") from None
    if not Path(path).is_absolute() or not 0 < len(text) <= LONGEST_TOKEN:
        raise KubeconfigError("The token file needs an absolute path, and holds one token and nothing else.")
    return text


def in_cluster(environment: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Credentials:
    """The credentials of the service account that this process runs as, inside the cluster itself."""
    host, port = (
        environment.get("KUBERNETES_SERVICE_HOST", ""),
        environment.get("KUBERNETES_SERVICE_PORT", "443"),
    )
    try:
        token, ca_pem = (folder / "token").read_text().strip(), (folder / "ca.crt").read_text()
    except OSError:
        token, ca_pem = "", ""
    if not host or not token:
        raise KubeconfigError(
            "Airdeck does not run inside a cluster with a service account. Register it with --kubeconfig."
        )
    host = f"[{host}]" if ":" in host else host
    return Credentials(f"https://{host}:{port}", ca_pem, token, token_file=str(folder / "token"))


def _load(text: str) -> dict[str, Any]:
    if len(text) > MAX_BYTES:
        raise KubeconfigError("The kubeconfig is larger than 256 KiB. Is it the right file?")
    try:
        document = yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader without aliases
    except (yaml.YAMLError, RecursionError, ValueError):
        raise KubeconfigError("The kubeconfig is not valid YAML.") from None
    if not isinstance(document, dict):
        raise KubeconfigError("The kubeconfig is not a mapping. Is it the right file?")
    return document


def _named(document: Mapping[str, Any], plural: str, singular: str) -> dict[str, dict[str, Any]]:
    entries = document.get(plural)
    found = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get(singular), dict):
            found[_text(entry.get("name"))] = entry[singular]
    return found


def _one(entries: Mapping[str, dict[str, Any]], name: str, what: str) -> dict[str, Any]:
    if name not in entries:
        raise KubeconfigError(f"The kubeconfig's context names a {what} that is not in it.")
    return entries[name]


def _refuse(section: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
    for key, why in reasons.items():
        if section.get(key) not in (None, "", False, [], {}):
            raise KubeconfigError(f"This kubeconfig {why}.")


def _server(url: str) -> str:
    if any(not mark.isprintable() or mark.isspace() for mark in url):
        # Python would leave line breaks out of it in silence; kubectl refuses them.
        raise KubeconfigError("The kubeconfig's server holds a blank or a line break. Write it as one word.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise KubeconfigError("The kubeconfig's server is not a URL.") from None
    if parts.scheme != "https":
        raise KubeconfigError("The kubeconfig's server must begin with https://.")
    if not parts.hostname or parts.username or parts.query or parts.fragment or port == 0:
        raise KubeconfigError("The kubeconfig's server must be https://host[:port], and nothing else.")
    return url.rstrip("/")


def _tls_server_name(name: str) -> str:
    if not _HOST.fullmatch(name):
        raise KubeconfigError("The kubeconfig's tls-server-name is not a host name.")
    return name


def _token(token: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise KubeconfigError("The kubeconfig's token holds characters that no token has. Copy it again.")
    return token


def _pem(section: Mapping[str, Any], key: str) -> str:
    data = _text(section.get(key))
    if not data:
        return ""
    try:
        # YAML leaves line breaks in it, or makes blanks of them. The rest is read strictly.
        raw = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise KubeconfigError(f"The kubeconfig's {key} is not base64 of a PEM text.") from None
    # Authorities put comments around their certificates, in any encoding: like kubectl, we read the blocks alone.
    blocks = [block[0].decode("ascii") for block in _PEM_BLOCK.finditer(raw.replace(b"\r\n", b"\n"))]
    if not blocks:
        raise KubeconfigError(f"The kubeconfig's {key} is not base64 of a PEM text.")
    return "\n".join([*blocks, ""])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
