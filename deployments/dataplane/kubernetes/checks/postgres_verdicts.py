"""Whether the primary Postgres of a cluster will do: its version, our rights and room in it, and its address. Pure."""

import ipaddress
from dataclasses import dataclass

from deployments.dataplane.kubernetes.checks.verdicts import Check, CheckState
from deployments.dataplane.kubernetes.text import clean
from deployments.dataplane.postgres.server_url import POOLER, ServerUrl, UnusableUrl

OLDEST_POSTGRES = 14
CONNECTIONS_EACH = 20  # of one Deployment, about: four programs with pools of five
_FOR_PODS = "Postgres for pods"


@dataclass(frozen=True)
class Server:
    """What a Postgres says of itself. `version` as in server_version_num."""

    version: int
    superuser: bool
    may_create_roles: bool
    may_create_databases: bool
    max_connections: int
    reserved: int
    used: int
    pooled: bool = False  # something in between drops the settings of a connection


def database(server: Server) -> tuple[Check, ...]:
    """Version, rights and room of the primary Postgres."""
    return (_postgres(server), _postgres_rights(server), _connections(server))


def _postgres(server: Server) -> Check:
    message = f"{server.version // 10000}.{server.version % 10000}"
    if server.version // 10000 < OLDEST_POSTGRES:
        sentence = (
            f"PostgreSQL {message} answers. Airdeck needs {OLDEST_POSTGRES} or newer: upgrade the server."
        )
        return Check("postgres", "Postgres", CheckState.MISSING, sentence)
    if server.pooled:
        return Check("postgres", "Postgres", CheckState.MISSING, POOLER)
    return Check("postgres", "Postgres", CheckState.OK, f"PostgreSQL {message} answers.")


def _postgres_rights(server: Server) -> Check:
    title = "Roles and databases"
    if server.superuser:
        return Check(
            "postgres_rights",
            title,
            CheckState.WARNING,
            "The role is a superuser. It works; one with CREATEDB and CREATEROLE is enough, and safer.",
        )
    rights = {"CREATEROLE": server.may_create_roles, "CREATEDB": server.may_create_databases}
    lacking = [word for word, there in rights.items() if not there]
    if lacking:
        sentence = f"The role may not create what a Deployment needs. Run: ALTER ROLE … {' '.join(lacking)}."
        return Check("postgres_rights", title, CheckState.MISSING, sentence)
    return Check("postgres_rights", title, CheckState.OK, "The role may create roles and databases.")


def _connections(server: Server) -> Check:
    """Four fifths of what is there may be used: the rest is for people, backups and peaks."""
    there = server.max_connections - server.reserved
    room = max(0, int(there * 0.8) - server.used) // CONNECTIONS_EACH
    message = (
        f"{server.used} of {there} connections are used; there is room for about {room} more Deployments"
    )
    if room < 1:
        sentence = f"{message}. Raise max_connections (a Deployment takes about {CONNECTIONS_EACH})."
        return Check("connections", "Connections", CheckState.WARNING, sentence)
    return Check("connections", "Connections", CheckState.OK, f"{message} at {CONNECTIONS_EACH} each.")


def database_address(url: str) -> tuple[Check, ...]:
    """Pods use the same URL as the console: an address that means this machine means another one to them, and a file
    of this machine is not there."""
    try:
        server = ServerUrl.of(url)
    except UnusableUrl as error:
        return (Check("postgres_address", _FOR_PODS, CheckState.MISSING, str(error)),)
    return (_address(server.host), *_certificate(server))


def _address(host: str) -> Check:
    if host.startswith("/"):
        sentence = (
            "The database URL names a socket of this machine, which pods cannot reach. Give a host name."
        )
        return Check("postgres_address", _FOR_PODS, CheckState.WARNING, sentence)
    if host == "localhost" or _loopback(host):
        sentence = (
            f"{clean(host, 80)} is the pod itself to every pod. Give a name that means the server everywhere."
        )
        return Check("postgres_address", _FOR_PODS, CheckState.WARNING, sentence)
    sentence = f"Pods reach it as {clean(host, 200)}, like the console."
    return Check("postgres_address", _FOR_PODS, CheckState.OK, sentence)


def _certificate(server: ServerUrl) -> tuple[Check, ...]:
    if not server.certificates:
        return ()
    state, follows = (
        (CheckState.MISSING, "so Airflow could not connect")
        if server.verifies
        else (CheckState.WARNING, "so Airflow connects without looking at the certificate")
    )
    sentence = (
        f"The database URL asks for the certificates in {clean(server.certificates, 120)}. That file is the console's; "
        f"pods have none, {follows}. Give sslrootcert=system when a public authority signed the server's certificate, "
        "else sslmode=require without sslrootcert."
    )
    return (Check("postgres_certificate", "Certificate of Postgres", state, sentence),)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
