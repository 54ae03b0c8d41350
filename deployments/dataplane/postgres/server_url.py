"""The URL of a Postgres server: one reader, for the check of what an operator typed and for whatever uses it. libpq
takes it apart; here stands what of that is accepted, so that the console and Airflow's pods mean the same server."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Self
from urllib.parse import quote, urlencode

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from console.kit.keepalives import KEEPALIVES

DEFAULT_PORT = 5432
SCHEMES = ("postgresql://", "postgres://")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SYSTEM_CERTIFICATES = "system"  # libpq's word for the authorities that the machine itself trusts
# What Airflow gets as well: every release of libpq in its images knows these.
PARAMETERS = (
    "sslmode",
    "sslrootcert",
    "channel_binding",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
)
_OURS = ("connect_timeout", "application_name")  # each program says its own; accepted, and never passed on
_READ = ("host", "port", "user", "password", "dbname", *PARAMETERS, *_OURS)
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")
ESCAPE = "The database URL cannot be read. Write special characters in its password as %XX."

POOLER = (
    "A connection pooler answers in place of the database server. Airdeck and Airflow's schedulers hold locks of a "
    "session, which a pooler takes apart: give the URL of the server itself."
)


class UnusableUrl(ValueError):
    """One sentence that says what is wrong. It repeats nothing of the URL but names of parameters."""


@dataclass(frozen=True, repr=False)
class ServerUrl:
    """A server, and who signs in to it. `host` is a name, an address without brackets, or the folder of a socket.
    Holds a password: no repr."""

    user: str
    password: str
    host: str
    port: int | None
    database: str
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a URL, or libpq's own key=value form, which the embedded default uses. Raises UnusableUrl."""
        if text.startswith(SCHEMES) and text.count("@") > 1:
            # libpq ends the password at the first one and would print the rest as the name of a host.
            raise UnusableUrl(ESCAPE)
        try:
            parts = {key: str(value) for key, value in conninfo_to_dict(text).items() if value is not None}
        except (ProgrammingError, ValueError):  # ValueError: bytes that are no UTF-8
            raise UnusableUrl(ESCAPE) from None
        if strange := sorted(set(parts) - set(_READ)):
            raise UnusableUrl(
                f"The database URL has {strange[0]}, which Airflow would not get. Take it out; what may stand there "
                f"is {', '.join(PARAMETERS)}."
            )
        if not parts.get("host") or not parts.get("user"):
            raise UnusableUrl(
                "The database URL needs a user and a host: postgresql://user:password@host/postgres."
            )
        database = parts.get("dbname", "")
        if text.startswith(SCHEMES) and re.search(r"[/@:?#]", database):
            raise UnusableUrl(ESCAPE)  # a password with a slash ends up here
        chosen = tuple((key, parts[key]) for key in PARAMETERS if parts.get(key))
        _check_ssl(dict(chosen).get("sslmode", ""))
        return cls(
            user=parts["user"],
            password=parts.get("password", ""),
            host=_host(parts["host"]),
            port=_port(parts.get("port", "")),
            database=database,
            parameters=chosen,
        )

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return (self.host, self.port or DEFAULT_PORT)

    @property
    def verifies(self) -> bool:
        """Whether a server is refused whose certificate no known authority signed."""
        return dict(self.parameters).get("sslmode", "").startswith("verify-")

    @property
    def certificates(self) -> str:
        """The file of authorities that the server's certificate is held against, on the machine of the client;
        "" when no file is needed. A URL that names none means libpq's own place in the home folder."""
        path = dict(self.parameters).get("sslrootcert", "~/.postgresql/root.crt" if self.verifies else "")
        return "" if path == SYSTEM_CERTIFICATES else path

    def conninfo(self, *, database: str = "", **settings: str | int) -> str:
        """For libpq, with the settings of this program. Holds the password."""
        parts: dict[str, str | int] = {"user": self.user, "host": self.host, **dict(self.parameters)}
        optional = {"password": self.password, "port": self.port, "dbname": database or self.database}
        parts |= {key: value for key, value in optional.items() if value}
        return make_conninfo("", **{**parts, **settings})

    @property
    def keepalives(self) -> dict[str, int]:
        """Those of our own connections, where the URL does not say."""
        return {key: value for key, value in KEEPALIVES.items() if key not in dict(self.parameters)}

    def for_role(self, *, database: str, user: str, password: str) -> str:
        """The URL of another database and user on the same server, as SQLAlchemy and libpq both read it."""
        host, query = self.host, dict(self.parameters)
        port = f":{self.port}" if self.port else ""
        if host.startswith("/"):
            query["host"], host = host, ""
            if self.port:
                query["port"], port = str(self.port), ""
        elif ":" in host:
            host = f"[{host}]"
        netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{host}{port}"
        return f"postgresql://{netloc}/{quote(database, safe='')}" + (f"?{urlencode(query)}" if query else "")


def _check_ssl(mode: str) -> None:
    if mode and mode not in SSL_MODES:
        raise UnusableUrl(f"The database URL's sslmode is none of {', '.join(SSL_MODES)}.")


def _host(host: str) -> str:
    if host.startswith("/"):
        return host
    if "," in host:
        raise UnusableUrl(
            "The database URL names several hosts. Name one: the server that may be written to, or the name that "
            "always leads to it."
        )
    try:
        address = ip_address(host)
    except ValueError:
        if not _HOST_NAME.fullmatch(host):
            raise UnusableUrl(
                "The database URL's host is neither a name nor an address. " + ESCAPE.partition(". ")[2]
            ) from None
        return host
    if isinstance(address, IPv6Address) and address.scope_id:
        raise UnusableUrl("The database URL's address means something on one machine only. Give a host name.")
    return host


def _port(port: str) -> int | None:
    if not port:
        return None
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise UnusableUrl(
            "The database URL's port is not a number from 1 to 65535. " + ESCAPE.partition(". ")[2]
        )
    return int(port)
