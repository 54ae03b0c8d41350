"""Variables by which a person means another console than that of `make run`. Imports nothing: manage.py asks first."""

# Set by a person who runs the console in production: `up` would use another database than they meant.
PRODUCTION_ONLY = (
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "REDIS_URL",
    "REDIS_URL_FILE",
    "KUBERNETES_SERVICE_HOST",
)
# One who sets one of these means another console.
CONFIGURED = (
    *PRODUCTION_ONLY,
    "SECRET_KEY",
    "SECRET_KEY_FILE",
    "ENCRYPTION_KEYS",
    "ENCRYPTION_KEYS_FILE",
)
