"""Django settings from the environment, through small functions.

OBMEN_HOME            data folder (default ./.obmen, or ~/.obmen outside a checkout): keys, SQLite file, received files
OBMEN_DATABASE_URL    sqlite:///path or postgresql://user:password@host:port/name (default: SQLite in OBMEN_HOME)
OBMEN_BROKER_URL      amqp:// or redis:// : carry runs by Celery to many machines (default: none, the run table alone)
OBMEN_STORAGE_URL     s3://bucket/prefix : pictures and exchange files in S3-like storage (default: OBMEN_HOME/media)
OBMEN_KEYS            keys for secrets, comma-separated, first encrypts (default: the file OBMEN_HOME/keys)
OBMEN_HOSTS           host names that the web answers to, comma-separated (default *)
OBMEN_DEBUG           1 shows tracebacks in the browser
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.utils.translation import gettext_lazy as _

BASE = Path(__file__).resolve().parent


def parse_home(env: str | None) -> Path:
    return Path(env).expanduser().resolve() if env else Path.home() / ".obmen"


def parse_database(url: str | None, home: Path) -> dict[str, Any]:
    """``sqlite:///relative``, ``sqlite:////absolute``, ``postgresql://…`` → one entry of DATABASES."""
    if not url:
        url = f"sqlite:///{home / 'obmen.sqlite3'}"
    if url.startswith("sqlite:"):
        path = url.removeprefix("sqlite:///") or "obmen.sqlite3"
        # IMMEDIATE is correctness, not tuning: a read transaction that must become a write fails at once with "database is
        # locked" whatever the time-out (52-81 % of short transactions beside an import, docs/decisions/0002).
        options = {"transaction_mode": "IMMEDIATE", "timeout": 20}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": options}
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise SystemExit(f"OBMEN_DATABASE_URL: {parts.scheme!r} is not known, expected sqlite:/// or postgresql://")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


def parse_keys(env: str | None, file: Path) -> list[str]:
    text = env if env else file.read_text() if file.exists() else ""
    return [k.strip() for k in text.replace(",", "\n").splitlines() if k.strip()]


def read_secret_key(file: Path) -> str:
    return file.read_text().strip() if file.exists() else "made-by-obmen-init"


OBMEN_HOME = parse_home(os.environ.get("OBMEN_HOME"))
OBMEN_KEYS = parse_keys(os.environ.get("OBMEN_KEYS"), OBMEN_HOME / "keys")
OBMEN_BROKER_URL = os.environ.get("OBMEN_BROKER_URL", "")
OBMEN_STORAGE_URL = os.environ.get("OBMEN_STORAGE_URL", "")
DATABASES = {"default": parse_database(os.environ.get("OBMEN_DATABASE_URL"), OBMEN_HOME)}
SECRET_KEY = read_secret_key(OBMEN_HOME / "secret_key")
DEBUG = os.environ.get("OBMEN_DEBUG") == "1"
ALLOWED_HOSTS = os.environ.get("OBMEN_HOSTS", "*").split(",")
CSRF_TRUSTED_ORIGINS = [o for o in os.environ.get("OBMEN_ORIGINS", "").split(",") if o]

# A catalogue load starts a process each hour; it has no use for the pages, whose import costs more than an unchanged file.
LEAN = os.environ.get("OBMEN_LEAN") == "1"

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "obmen.store"]
if not LEAN:
    INSTALLED_APPS = [
        "obmen.web",
        "unfold",
        "unfold.contrib.filters",
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
        "axes",
        "obmen.store",
    ]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_ENABLE_ADMIN = False
SILENCED_SYSTEM_CHECKS = ["axes.W003"]

ROOT_URLCONF = "obmen.web.urls"
WSGI_APPLICATION = "obmen.web.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
            ]
        },
    }
]

LANGUAGES = [("uk", "Українська"), ("ru", "Русский"), ("en", "English")]
LANGUAGE_CODE = os.environ.get("OBMEN_LANGUAGE", "uk")
LOCALE_PATHS = [BASE / "locale"]
USE_I18N = USE_TZ = True
TIME_ZONE = os.environ.get("OBMEN_TIME_ZONE", "Europe/Kyiv")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
STATIC_ROOT = OBMEN_HOME / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
MEDIA_ROOT = OBMEN_HOME / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if OBMEN_STORAGE_URL.startswith("s3://"):
    _s3 = urlsplit(OBMEN_STORAGE_URL)
    STORAGES["default"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {"bucket_name": _s3.netloc, "location": _s3.path.strip("/")},
    }

LOGIN_URL = "admin:login"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if os.environ.get("OBMEN_BEHIND_PROXY") == "1" else None

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("OBMEN_LOG", "WARNING")},
    "loggers": {"axes": {"level": "ERROR"}},
}

UNFOLD: dict[str, Any] = {"SITE_TITLE": "Obmen", "SITE_HEADER": "Obmen", "SITE_SUBHEADER": _("exchange hub")}
