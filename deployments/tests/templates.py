"""Template databases that tests made."""

import psycopg

from deployments.dataplane.postgres import templates


def drop_template(admin_url: str, version: str) -> None:
    """Remove what a runtime's template left on the server: finished, half made, or nothing at all."""
    name = templates.name_of(version)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        if templates.exists(admin_url, name):
            admin.execute(f"ALTER DATABASE {name} IS_TEMPLATE false")
        for made in (name, f"{name}_new"):
            admin.execute(f"DROP DATABASE IF EXISTS {made}")
        admin.execute(f"DROP ROLE IF EXISTS {name}")
