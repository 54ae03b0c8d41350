"""One process migrates at a time."""

MIGRATION_LOCK = 0x41495244  # "AIRD"; Postgres's advisory lock
