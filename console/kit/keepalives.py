"""When a connection to Postgres gives up a server that has fallen silent. One whose machine is gone closes no
connection, and no timeout of its own counts any more. Settings of libpq: seconds, seconds, tries, milliseconds."""

KEEPALIVES = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
