"""Django's Postgres backend for people who wait: a database that is silent costs them seconds, not minutes."""
