"""The embedded default: one command runs the console, its Postgres and Redis, and every Airflow on a machine.

`up` is small on purpose and imports no Django: it prepares the state folder, starts supervisord, runs
`manage.py bootstrap` once, and then only waits for a signal.
"""
