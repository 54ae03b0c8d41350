"""When a connection to Postgres gives up a server that has fallen silent, as one does whose machine is gone: it closes no
connection, and no timeout of its own counts any more. Settings of libpq: seconds, a number, and milliseconds."""

KEEPALIVES = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
