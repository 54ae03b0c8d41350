"""The backend that the web process uses. Django looks for `DatabaseWrapper` in a module of this name."""

from typing import Any

from django.db.backends.postgresql import base
from psycopg_pool import PoolTimeout

from console.kit.postgres.pool import silence


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, which fails at once while the server is known to be silent."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection of the pool. Raises OperationalError within 3 s."""
        silence.permit()
        try:
            connection = super().get_new_connection(conn_params)
        except PoolTimeout:
            silence.note()
            raise
        silence.watched()
        return connection
