"""The one settings file. Everything comes from the environment and is checked here; README.md has the table.

Without DATABASE_URL only commands that touch no database run (`up`, `check`, `makemigrations`): see CONFIGURED.
"""

import logging
import secrets
from pathlib import Path
from typing import Any

from django.contrib.messages import constants as message_levels
from django.utils.csp import CSP
from environs import FileAwareEnv

from console import __version__, environment
from console.environment import encryption_keys, number, secret
from console.kit.logs import logging_config

# Each setting may also be the content of the file that NAME_FILE names.
env = FileAwareEnv(strip_whitespace=True)
BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = __version__

CONFIGURED = bool(env.str("DATABASE_URL", "") or env.str("DATABASE_URL_FILE", ""))
DEBUG = env.bool("DEBUG", False)
EMBEDDED = env.bool("EMBEDDED", False)
STATE_DIR = Path(env.str("STATE_DIR", str(BASE_DIR / ".local"))).absolute()
PORT = number(env, "PORT", 8000, least=1, most=65535)
WARM_STARTS = env.bool("WARM_STARTS", True)
TASK_LOG_DAYS = number(env, "TASK_LOG_DAYS", 30, least=1, most=36_500)
TASK_LOG_MIB = number(env, "TASK_LOG_MIB", 2048, least=1, most=2**30)
# Whether the code of a Deployment on this machine is kept to its own files, and what else it may read and write.
FENCE = env.bool("FENCE", True)
FENCE_FOLDERS: list[str] = env.list("FENCE_FOLDERS", [])
PROCESS_ROLE = env.str("PROCESS_ROLE", "command")
HTTPS = env.bool("HTTPS", not (DEBUG or EMBEDDED))

# Random when unset and nothing can be served anyway; required otherwise.
SECRET_KEY = environment.secret_key(env.str("SECRET_KEY")) if CONFIGURED else secrets.token_urlsafe(50)
ENCRYPTION_KEYS = encryption_keys(secret("ENCRYPTION_KEYS", env.str("ENCRYPTION_KEYS"))) if CONFIGURED else []
_here = [] if CONFIGURED and not EMBEDDED else ["127.0.0.1", "localhost"]
ALLOWED_HOSTS = environment.allowed_hosts(env, _here, serves=PROCESS_ROLE == "web")
# The console's own address, for links in mail.
BASE_URL = environment.base_url(env, hosts=ALLOWED_HOSTS if HTTPS else [], port=PORT)
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
# Under `make run` the first account closes it: the person who has one may run code on this machine.
OPEN_SIGNUP = env.bool("OPEN_SIGNUP", not EMBEDDED)

# Airflows take the password of last resort too, for the day on which this console cannot sign people in.
AIRFLOW_PASSWORD = env.bool("AIRFLOW_PASSWORD", False)

# Of this machine or its links: a cluster may be there only when it is listed.
CLUSTER_ADDRESSES: list[str] = env.list("CLUSTER_ADDRESSES", [])

# Not public: a Git repository may be there only when it is listed.
GIT_ADDRESSES: list[str] = env.list("GIT_ADDRESSES", [])
# Of the workers' processes; the others go on with passes.
GIT_CHECKS_AT_ONCE = number(env, "GIT_CHECKS_AT_ONCE", 1 if EMBEDDED else 2, least=1, most=64)

# Not public: the webhook of an alert may lead there only when it is listed. Alerts are mailed to members, and to other
# addresses of these domains.
WEBHOOK_ADDRESSES: list[str] = env.list("WEBHOOK_ADDRESSES", [])
ALERT_EMAIL_DOMAINS: list[str] = env.list("ALERT_EMAIL_DOMAINS", [])

INSTALLED_APPS = [
    "console",
    "workspaces",
    "deployments",
    "console.apps.OperatorsConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.idp.oidc",
    "django_structlog",
]

# PageCsrfMiddleware is Django's, which the check knows by its own name alone (console/kit/pages_only.py).
SILENCED_SYSTEM_CHECKS = ["security.W003"]
MIDDLEWARE = [
    "console.request_metrics.RequestMetricsMiddleware",
    "console.health.HealthMiddleware",
    "console.api.middleware.ProblemMiddleware",
    "console.kit.turns.TurnMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",  # before the policy: that is about pages
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "console.kit.http.CompressPagesMiddleware",
    "console.kit.http.PrivatePagesMiddleware",
    "console.kit.http.SignedOutPartsMiddleware",
    "console.kit.http.NoNulMiddleware",
    "console.kit.pages_only.PageSessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "console.kit.pages_only.PageCsrfMiddleware",
    "console.kit.pages_only.PageAuthenticationMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "console.api.middleware.ApiMiddleware",
    "console.kit.pages_only.PageMessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "workspaces.middleware.TimeZoneMiddleware",
    "workspaces.middleware.LockedAccountMiddleware",
    "workspaces.middleware.OnwardMiddleware",
    "workspaces.middleware.LastWorkspaceMiddleware",
    "console.middleware.RefusalMiddleware",
]
ROOT_URLCONF = "console.urls"
WORKSPACE_HOME = "deployments:list"  # the first page of a Workspace; tenancy knows no other app
ASGI_APPLICATION = "console.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.context.shell",
            ],
            "builtins": ["console.kit.templatetags.ui"],
        },
    }
]

# --- Database. Under ASGI every request has a thread of its own, so the web process needs a pool; Celery and the
# observer keep one connection, checked before use.
DATABASE_POOL = number(env, "DATABASE_POOL", 12, least=2, most=1000)
# Half of the pool: streams that are opened, and their check, need connections beside the pages (console/kit/turns.py).
PAGES_AT_ONCE = max(1, DATABASE_POOL // 2)
_url = secret("DATABASE_URL", env.str("DATABASE_URL")) if CONFIGURED else "postgresql://localhost/unset"
DATABASES = {"default": environment.database(_url, role=PROCESS_ROLE, pool=DATABASE_POOL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis carries only hints and badges; a call to it may cost a second at most.
REDIS_URL = environment.redis_url(env.str("REDIS_URL", "redis://127.0.0.1:6379/0").strip())
CACHES = {
    # Rate limits of accounts. In Postgres, so that a frozen Redis never blocks a sign-in; with room for many
    # entries, or a flood of strangers would push a locked account's counter out.
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "console_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)  # kombu's word for a Unix socket
CELERY_BROKER_USE_SSL = environment.broker_tls(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 45  # below the lease of 60 s: a hung pass is dead before another may claim its row
CELERY_TASK_SOFT_TIME_LIMIT = 40
# Passes wait apart from what beat sends and from mail, alerts and looks: a worker takes from both in turns
# (console/processes.py), so that a crowd of rows delays no sweep until it has expired.
CELERY_TASK_ROUTES = {"deployments.tasks.reconcile": {"queue": "passes"}}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_DB_REUSE_MAX = 10**9  # tasks; Celery would connect for each. console/celery.py ends broken connections
CELERY_WORKER_CONSUMER = "console.kit.worker:Consumer"  # with a sign of life
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_keepalive": True,
    "health_check_interval": 10,
    "socket_connect_timeout": 1,
    "socket_timeout": 30 if PROCESS_ROLE == "worker" else 1,
}


def _every(seconds: float, task: str, *, expires: float = 0.0) -> dict[str, Any]:
    """Beat sends the task so often; no worker takes one that is older than the next."""
    return {"task": task, "schedule": seconds, "options": {"expires": expires or seconds}}


SWEEP_SECONDS = number(env, "SWEEP_SECONDS", 5.0, least=1, most=600)
LEASE_SECONDS = environment.lease(env, task_limit=CELERY_TASK_TIME_LIMIT)
MAIL_SWEEP_SECONDS = 15.0  # how late a mail may be whose hint was lost, and the first pause after a failure
ALERT_SECONDS = 15.0  # how late an alert may be after what it reports was seen
SCHEDULE_SECONDS = 10.0  # how late a Deployment may fall asleep or wake by its schedule
CELERY_BEAT_SCHEDULE = {
    "sweep": _every(SWEEP_SECONDS, "deployments.tasks.sweep"),
    "mail": _every(MAIL_SWEEP_SECONDS, "workspaces.tasks.sweep_mail"),
    "alerts": _every(ALERT_SECONDS, "deployments.tasks.follow_alerts"),
    "old_alerts": _every(3600.0, "deployments.tasks.prune_alerts", expires=600.0),
    "schedules": _every(SCHEDULE_SECONDS, "deployments.schedule_tasks.follow_schedules"),
}

# --- Metrics for Prometheus: each process on a port of its own; none without METRICS_PORT.
METRICS_PORT = number(env, "METRICS_PORT", 0, least=0, most=65535)
METRICS_ADDRESS = env.str("METRICS_ADDRESS", "127.0.0.1")

# --- Accounts: email is the identity, one password field.
AUTH_USER_MODEL = "workspaces.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_RATE_LIMITS = {  # per network address, and per account and source: workspaces/sign_in/limits.py
    "login_failed": "10/m/ip,5/5m/key",
    "login_failed_anywhere": "100/h/key",
    "login_failed_known": "5/5m/key",
}
ACCOUNT_ADAPTER = "workspaces.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
# Where mail can be sent, sign-up says by mail alone whether an address is registered (workspaces/sign_in/stages.py).
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if env.str("EMAIL_HOST", "") else "optional"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
ACCOUNT_FORMS = {
    "login": "workspaces.forms.LoginForm",
    "signup": "workspaces.forms.SignupForm",
    "add_email": "workspaces.account_forms.AddEmailForm",
    "change_password": "workspaces.account_forms.ChangePasswordForm",
    "set_password": "workspaces.account_forms.SetPasswordForm",
    "reset_password": "workspaces.account_forms.ResetPasswordForm",
    "reset_password_from_key": "workspaces.account_forms.ResetPasswordKeyForm",
    "reauthenticate": "workspaces.account_forms.ReauthenticateForm",
}
# Address, second factor, tokens and deletion ask who it is, unless that was confirmed just now.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
MFA_FORMS = {
    "activate_totp": "workspaces.sign_in.second_factor.ActivateTOTPForm",
    "add_webauthn": "workspaces.sign_in.second_factor.AddPasskeyForm",
    "authenticate": "workspaces.sign_in.second_factor.AuthenticateForm",
    "reauthenticate": "workspaces.sign_in.second_factor.ReauthenticateForm",
}
MFA_ADAPTER = "workspaces.adapter.MFAAdapter"
USERSESSIONS_ADAPTER = "workspaces.adapter.SessionsAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # without SMTP no one could verify, and a second factor helps all the same
MFA_TOTP_ISSUER = "Airdeck"
MFA_TOTP_TOLERANCE = 1  # half minutes early or late, for people who type (RFC 6238, 5.2)
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS  # plain HTTP is for one's own machine only
ALLAUTH_TRUSTED_PROXY_COUNT = number(env, "TRUSTED_PROXY_COUNT", 0, least=0, most=10)

# --- The company account: one OpenID Connect provider. allauth keeps its accounts in tables of their own, which are
# there once a provider is named.
OIDC_URL = env.str("OIDC_URL", "").rstrip("/")
OIDC_NAME = env.str("OIDC_NAME", "Company account")
OIDC_ONLY = environment.oidc_only(env, url=OIDC_URL)
OIDC_GROUPS_CLAIM = env.str("OIDC_GROUPS_CLAIM", "groups")
OIDC_ADMIN_GROUP = env.str("OIDC_ADMIN_GROUP", "")
OIDC_PROVIDER = "company"  # in addresses and rows
if OIDC_URL:
    INSTALLED_APPS += ["allauth.socialaccount", "allauth.socialaccount.providers.openid_connect"]
    SOCIALACCOUNT_ADAPTER = "workspaces.company_account.CompanyAdapter"
    SOCIALACCOUNT_LOGIN_ON_GET = True  # the policy on forms would stop one that is led to another site
    SOCIALACCOUNT_EMAIL_AUTHENTICATION = SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
    SOCIALACCOUNT_PROVIDERS = environment.openid(env, provider_id=OIDC_PROVIDER, name=OIDC_NAME, url=OIDC_URL)

# --- The console as an OpenID provider: of the command line by device codes, and with a key also of other tools
# (workspaces/identity_urls.py).
IDP_OIDC_PRIVATE_KEY = environment.identity_key(env)
IDP_OIDC_ADAPTER = "workspaces.adapter.ProviderAdapter"
IDP_OIDC_DEVICE_CODE_EXPIRES_IN = 600
IDP_OIDC_DEVICE_CODE_INTERVAL = 2
IDP_OIDC_REFRESH_TOKEN_EXPIRES_IN = 30 * 86_400

# --- Mail
MAIL_FOLDER = STATE_DIR / "mail"
# Without a mail server: under `make run` and DEBUG mail stays on this machine, readable on /mail/; else it is logged.
MAIL_IS_KEPT = (DEBUG or EMBEDDED) and not env.str("EMAIL_HOST", "")
MAILERS = {"default": environment.mailer(env, kept_in=MAIL_FOLDER if MAIL_IS_KEPT else None)}
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", "Airdeck <airdeck@localhost>")

# --- Security. Fragments and pages alike: nothing inline, nothing from elsewhere.
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ALLAUTH_TRUSTED_PROXY_COUNT else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-airdeck-session" if HTTPS else "airdeck-session"
CSRF_COOKIE_NAME = "__Host-airdeck-csrf" if HTTPS else "airdeck-csrf"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "console.views.csrf_failure"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000

# --- Words, time, files
LANGUAGE_CODE = "en"
USE_I18N = False
FORMAT_MODULE_PATH = ["console.formats"]
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static", ("docs", BASE_DIR / "docs" / "img")]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "console.kit.bundles.BundleFinder",
]
STATIC_ROOT = Path(env.str("STATIC_ROOT", str((STATE_DIR if EMBEDDED else BASE_DIR) / "staticfiles")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "console.kit.static_files.PagesStorage"},
}
SERVESTATIC_KEEP_ONLY_HASHED_FILES = False
SERVESTATIC_ALLOW_ALL_ORIGINS = False
SERVESTATIC_AUTOREFRESH = DEBUG
MESSAGE_TAGS = {
    message_levels.SUCCESS: "ok",
    message_levels.WARNING: "warn",
    message_levels.ERROR: "bad",
    message_levels.INFO: "busy",
}

# --- Logs
LOGGING = logging_config(**environment.log_options(env))
DJANGO_STRUCTLOG_CELERY_ENABLED = True
# The sweep alone sends a message every few seconds; what a pass did is a line of its own.
DJANGO_STRUCTLOG_CELERY_TASK_START_LOG_LEVEL = DJANGO_STRUCTLOG_CELERY_TASK_SUCCESS_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
