"""The address of a Git repository, as people copy it from their Git host. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

ADDRESS_LENGTH = 500
HTTPS, SSH = "https", "ssh"
PORTS = {HTTPS: 443, SSH: 22}

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)(?P<host>\[[^\]]+\]|[^:/]+):(?P<path>[^:].*)")
_NO_URL = re.compile(r"[^/@]*:[^/]*@")  # a user name and password, where no scheme is before them
_PATH = re.compile(r"[^\x00-\x1f\x7f'\"\\`$;&|<>?#*]{1,400}")

SHAPES = "Enter it as https://host/path.git, ssh://git@host/path.git or git@host:path.git."


@dataclass(frozen=True)
class GitAddress:
    """Where a repository is. `path` begins with "/" except for git@host:path, which begins at the account's home."""

    scheme: str
    user: str  # who signs in by SSH; "" for HTTPS
    host: str  # lower case; an IPv6 address without its brackets
    port: int
    path: str

    @property
    def text(self) -> str:
        """As it is shown and stored. `parse` reads it back."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        if self.scheme == HTTPS:
            return f"https://{host}{port}{quote(self.path, safe=_SAFE)}"
        if not self.path.startswith("/"):
            return f"{self.user}@{host}:{self.path}"
        return f"ssh://{self.user}@{host}{port}{quote(self.path, safe=_SAFE)}"

    @property
    def place(self) -> tuple[str, str, int]:
        """To whom secrets for it are sent."""
        return self.scheme, self.host, self.port

    @property
    def repository(self) -> tuple[str, str, int, str]:
        """Which repository of that place it is; the spellings that Git hosts take for one are the same."""
        return *self.place, self.path.strip("/").removesuffix(".git")

    @property
    def shown_host(self) -> str:
        """The host, with its port where that is not the usual one."""
        return self.host if self.port == PORTS[self.scheme] else f"{self.host}:{self.port}"

    def commit_url(self, sha: str) -> str:
        """The page of a commit at the Git host; "" where it is not known that there is one."""
        kind = next((shape for word, shape in _COMMIT_PAGES if word in self.host), "")
        if not kind and self.scheme == SSH:
            return ""
        path = "/" + self.path.strip("/").removesuffix(".git")
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.scheme == SSH or self.port == PORTS[HTTPS] else f":{self.port}"
        return f"https://{host}{port}{quote(path, safe=_SAFE)}/{kind or 'commit'}/{sha}"


_SAFE = "/~+@:,=!()"
# By a word in the host's name. GitHub, Gitea and Forgejo say /commit/, which is also the guess for other names.
_COMMIT_PAGES = (
    ("gitlab", "-/commit"),
    ("bitbucket", "commits"),
    ("github", "commit"),
    ("gitea", "commit"),
    ("forgejo", "commit"),
    ("codeberg", "commit"),
)


def parse(text: str) -> GitAddress:
    """The address that a person typed. Raises ValueError with the sentence that says what is wrong."""
    text = text.strip()
    if not text:
        raise ValueError(f"Enter the address of the repository. {SHAPES}")
    if len(text) > ADDRESS_LENGTH:
        raise ValueError(f"Enter at most {ADDRESS_LENGTH} characters.")
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme in {"http", "git", "ftp"}:
        raise ValueError(f"{scheme}:// is not encrypted, so it is not used. {SHAPES}")
    if scheme:
        return _from_url(text, scheme)
    match = _SCP.fullmatch(text)
    if match is None:
        raise ValueError(f"This is not the address of a Git repository. {SHAPES}")
    path = match["path"]
    return _checked(SSH, match["user"], match["host"], PORTS[SSH], path)


def _from_url(text: str, scheme: str) -> GitAddress:
    if scheme not in PORTS:
        raise ValueError(f"{scheme[:20]}:// is not supported. {SHAPES}")
    try:
        parts = urlsplit(text)
        port = parts.port or PORTS[scheme]
    except ValueError:
        raise ValueError(f"This is not the address of a Git repository. {SHAPES}") from None
    if parts.password or (scheme == HTTPS and parts.username):
        raise ValueError("Leave user name and password out of the address: enter a token in its own field.")
    if parts.query or parts.fragment:
        raise ValueError("The address ends with “?” or “#” and something after it. Leave that out.")
    return _checked(
        scheme, parts.username or ("git" if scheme == SSH else ""), parts.netloc.rpartition("@")[2], port,
        unquote(parts.path), has_port=True,
    )  # fmt: skip


def _checked(
    scheme: str, user: str, host: str, port: int, path: str, *, has_port: bool = False
) -> GitAddress:
    if host.startswith("["):
        host = host[1:].partition("]")[0]
        is_host = _IPV6.fullmatch(host) is not None
    else:
        host = host.partition(":")[0] if has_port else host
        is_host = _HOST.fullmatch(host) is not None
    if not is_host:
        raise ValueError(f"The address names no host that can be asked. {SHAPES}")
    if scheme == SSH and not _USER.fullmatch(user):
        raise ValueError(
            "The user name before “@” may hold letters, digits, “.”, “_” and “-”. It usually is git."
        )
    if not _PATH.fullmatch(path) or not path.strip("/"):
        raise ValueError(f"The address names no repository on its host. {SHAPES}")
    if any(part.startswith("-") or part in {".", ".."} for part in path.split("/")):
        raise ValueError("No part of the repository's path may be “..” or begin with “-”.")
    return GitAddress(scheme, user, host.lower(), port, path)


def without_passwords(facts: Mapping[str, object]) -> dict[str, object]:
    """What is known of where code came from, its `remote` as `without_password` gives it."""
    found = dict(facts)
    if "remote" in found:
        found["remote"] = without_password(str(found["remote"]))
    return found


def without_password(remote: str) -> str:
    """A remote without what lets its reader in: no password, no token in the place of a user name, no query. CI clones
    with one (https://gitlab-ci-token:…@host/…). The user name of SSH stays: it is no secret, and says where it is."""
    scheme, there, rest = remote.partition("://")
    if not there:
        return _NO_URL.sub("", remote, count=1) if _NO_URL.match(remote) else remote
    authority, slash, path = rest.partition("/")
    who, at, place = authority.rpartition("@")
    user = who.partition(":")[0] if scheme.lower().endswith(SSH) else ""
    return re.split("[?#]", f"{scheme}://{user}{at if user else ''}{place}{slash}{path}", maxsplit=1)[0]
