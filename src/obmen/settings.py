"""Django settings from the environment, through small functions.

OBMEN_HOME            data folder (default ~/.obmen): keys, SQLite file, received files, pictures
OBMEN_DATABASE_URL    sqlite:///path or postgresql://user:password@host:port/name (default: SQLite in OBMEN_HOME)
OBMEN_BROKER_URL      amqp:// or redis:// : carry runs by Celery to many machines (default: none, the run table alone)
OBMEN_STORAGE_URL     s3://bucket/prefix : pictures in S3-like storage (default: OBMEN_HOME/media)
OBMEN_KEYS            keys for secrets, comma-separated, first encrypts (default: the file OBMEN_HOME/keys)
OBMEN_HOSTS           host names that the web answers to, comma-separated (default *)
OBMEN_CA_FILE         certificates of own authorities, for the systems that the hub calls (PEM)
OBMEN_ALLOW_PRIVATE   1 lets connections call addresses inside the own network
OBMEN_PUBLIC_URL      https://obmen.example.com : where people reach the hub, for links in notices
OBMEN_EMAIL_URL       smtp://user:password@host:587?from=hub@example.com : the mail server of notices
OBMEN_API_RATE        calls a minute that the API takes from one token (default 600; 0: any number)
OBMEN_DEBUG           1 shows tracebacks in the browser

Every variable, those read elsewhere included: docs/settings.md.
"""

from __future__ import annotations

import logging.config
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.urls import reverse_lazy
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
OBMEN_CA_FILE = os.environ.get("OBMEN_CA_FILE", "")
OBMEN_API_RATE = int(os.environ.get("OBMEN_API_RATE") or 600)
OBMEN_ALLOW_PRIVATE = os.environ.get("OBMEN_ALLOW_PRIVATE") == "1"
OBMEN_PUBLIC_URL = os.environ.get("OBMEN_PUBLIC_URL", "")
OBMEN_EMAIL_URL = os.environ.get("OBMEN_EMAIL_URL", "")
DATABASES = {"default": parse_database(os.environ.get("OBMEN_DATABASE_URL"), OBMEN_HOME)}
SECRET_KEY = read_secret_key(OBMEN_HOME / "secret_key")
DEBUG = os.environ.get("OBMEN_DEBUG") == "1"
ALLOWED_HOSTS = os.environ.get("OBMEN_HOSTS", "*").split(",")
CSRF_TRUSTED_ORIGINS = [o for o in os.environ.get("OBMEN_ORIGINS", "").split(",") if o]

# A catalogue load starts a process each hour; it has no use for the pages, whose import costs more than an unchanged file.
LEAN = os.environ.get("OBMEN_LEAN") == "1"

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "obmen.store", "obmen.licence"]
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
        "ninja",
        "obmen.store",
        "obmen.licence",
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
    "obmen.web.sign_in.Seen",
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_ENABLE_ADMIN = False
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "obmen/locked.html"
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
FORMAT_MODULE_PATH = ["obmen.web.formats"]
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
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
SESSION_COOKIE_HTTPONLY = True
# Behind a proxy people come by https, and cookies must not go out on a stray http call; alone on a machine there is only http.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = os.environ.get("OBMEN_BEHIND_PROXY") == "1"
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000  # a mapping table of a thousand managers has six fields in each row
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if os.environ.get("OBMEN_BEHIND_PROXY") == "1" else None

LOGGING_CONFIG = None  # Django's own would bring mail to administrators and error pages into every command
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("OBMEN_LOG", "WARNING")},
    "loggers": {"axes": {"level": "ERROR"}},
}
logging.config.dictConfig(LOGGING)


def _static(name: str) -> Any:
    def address(_request: Any) -> str:
        from django.templatetags.static import static  # not before the settings are read

        return static(name)

    return address


def _menu(title: Any, icon: str, name: str, permission: str) -> dict[str, Any]:
    def allowed(request: Any) -> bool:
        return bool(request.user.has_perm(permission))

    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}"), "permission": allowed}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Obmen",
    "SITE_HEADER": "Obmen",
    "SITE_SUBHEADER": _("exchange hub"),
    "SITE_SYMBOL": "swap_horizontal_circle",
    "SITE_URL": None,
    "ACCOUNT": {"navigation": [{"title": _("My account"), "link": reverse_lazy("admin:account")}]},
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _static("obmen/icon.svg")}],
    "SHOW_LANGUAGES": True,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "DASHBOARD_CALLBACK": "obmen.web.overview.fill",
    "STYLES": [_static("obmen/obmen.css")],
    "SCRIPTS": [_static("obmen/obmen.js"), _static("obmen/reach.js")],
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.604)",
            "100": "oklch(93.2% .032 255.585)",
            "200": "oklch(88.2% .059 254.128)",
            "300": "oklch(80.9% .105 251.813)",
            "400": "oklch(70.7% .165 254.624)",
            "500": "oklch(62.3% .214 259.815)",
            "600": "oklch(54.6% .215 262.881)",
            "700": "oklch(48.8% .2 264.376)",
            "800": "oklch(42.4% .17 265.638)",
            "900": "oklch(37.9% .146 265.522)",
            "950": "oklch(28.2% .091 267.935)",
        }
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    {"title": _("Overview"), "icon": "dashboard", "link": reverse_lazy("admin:index")},
                ],
            },
            {
                "title": _("Exchange"),
                "items": [
                    _menu(_("Connections"), "cable", "store_connection_changelist", "store.view_connection"),
                    _menu(_("Manual exchange"), "swap_horiz", "manual", "store.start_run"),
                    _menu(_("Runs"), "sync", "store_run_changelist", "store.view_run"),
                    _menu(_("Parked"), "pan_tool", "store_parked_changelist", "store.view_parked"),
                    _menu(_("Notices"), "notifications", "notices", "store.view_noticechannel"),
                    _menu(_("Journal"), "history", "store_journalentry_changelist", "store.view_journalentry"),
                    _menu(_("Exchange formats"), "extension", "store_formatpackage_changelist", "store.manage_formats"),
                    _menu(_("Traffic"), "forum", "store_message_changelist", "store.view_message"),
                ],
            },
            {
                "title": _("Books"),
                "items": [
                    _menu(_("Products"), "inventory_2", "store_product_changelist", "store.view_product"),
                    _menu(_("Offers"), "sell", "store_offer_changelist", "store.view_offer"),
                    _menu(_("Groups of goods"), "account_tree", "store_group_tree", "store.view_group"),
                    _menu(_("Orders"), "shopping_cart", "store_order_changelist", "store.view_order"),
                    _menu(_("Counterparties"), "groups", "store_counterparty_changelist", "store.view_counterparty"),
                    _menu(_("References"), "list_alt", "store_reference_changelist", "store.view_reference"),
                    _menu(_("Properties"), "tune", "store_property_changelist", "store.view_property"),
                ],
            },
            {
                "title": _("People"),
                "items": [
                    _menu(_("Users"), "person", "auth_user_changelist", "auth.view_user"),
                    _menu(_("Groups and permissions"), "shield_person", "auth_group_changelist", "auth.view_group"),
                    {"title": _("API tokens"), "icon": "vpn_key", "link": reverse_lazy("admin:store_apitoken_changelist")},
                ],
            },
        ],
    },
}
