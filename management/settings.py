"""The project's settings, from the environment or from ``.env`` next to manage.py.

``.env.example`` explains every variable. Unsafe values are defaults only while DEBUG is on.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = BASE_DIR / "data"


class Environment(environ.Env):
    """Names the variable when a value cannot be read; django-environ raises a bare ValueError."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_value(var, *args, **kwargs)
        except ValueError as error:
            raise ImproperlyConfigured(f"The environment variable {var}: {error}") from error


def database(url: str) -> dict[str, Any]:
    """Return Django's settings for the database that a URL names."""
    if not url.startswith(("postgres://", "postgresql://", "sqlite://")):
        raise ValueError("it must begin with postgres:// or sqlite:///")
    found: dict[str, Any] = environ.Env.db_url_config(url)
    if url.startswith("sqlite://") and found["NAME"] != ":memory:":
        found["NAME"] = BASE_DIR / found["NAME"]  # cron starts in another folder than people
    return found


def batch_size(text: str) -> int | str:
    """Return a number of events, or ``auto``."""
    return text if text == "auto" else int(text)


# Every variable that is read, with its type and, after that, its default.
env = Environment(
    DEBUG=(bool, False),
    SECRET_KEY=str,
    ALLOWED_HOSTS=(list, []),
    CSRF_TRUSTED_ORIGINS=(list, []),
    HTTPS=(bool, True),
    PROXY_SSL_HEADER=(str, ""),
    DATABASE_URL=(database, None),
    TIME_ZONE=(str, "UTC"),
    LANGUAGE_CODE=(str, "en-us"),
    STATIC_ROOT=(str, str(DATA_DIR / "static")),
    LOG_LEVEL=(str, "WARNING"),
    AUDITREPR_MODELS=list,
    AUDITREPR_EXCLUDE=json.loads,
    AUDITREPR_APPEND_ONLY=bool,
    AUDITREPR_SEARCH=bool,
    AUDITREPR_SEAL=bool,
    AUDITREPR_MODEL_PERMISSIONS=bool,
    AUDITREPR_HISTORY_BUTTON=bool,
    AUDITREPR_CONTEXT=list,
    AUDITREPR_BATCH_SIZE=batch_size,
    AUDITREPR_LEASE_SECONDS=int,
    AUDITREPR_LOCK_FILE=str,
    AUDITREPR_MAX_LENGTH=int,
    AUDITREPR_RUNS_KEPT=int,
    AUDITREPR_LANGUAGE=str,
    AUDITREPR_TIME_ZONE=str,
    AUDITREPR_REPR=json.loads,
    AUDITREPR_RELATED=json.loads,
    AUDITREPR_ROW_SECONDS=float,
    AUDITREPR_RETENTION=json.loads,
    AUDITREPR_SOURCES=json.loads,
)
env.read_env(BASE_DIR / ".env")
env.ENVIRON = {name: value for name, value in os.environ.items() if value}  # empty counts as none


def secret_key() -> str:
    """Return the key that signs sessions; a known one is used only while DEBUG is on."""
    # Not through env(): there a value that starts with "$" means another variable.
    key: str = env.ENVIRON.get("SECRET_KEY", "insecure: only for DEBUG" if DEBUG else "")
    if not key:
        raise ImproperlyConfigured(
            "Set SECRET_KEY to a long random text. To try the project on this machine alone, "
            "set DEBUG=on instead: cp .env.example .env does that."
        )
    return key


def sqlite_file() -> dict[str, Any]:
    """Return the default database."""
    DATA_DIR.mkdir(exist_ok=True)
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA_DIR / "auditrepr.sqlite3"}


DEBUG = env("DEBUG")
SECRET_KEY = secret_key()
ALLOWED_HOSTS = env("ALLOWED_HOSTS")  # while DEBUG is on, Django takes "none" for this machine

DATABASES = {"default": env("DATABASE_URL") or sqlite_file()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # The web process and the job share the file: readers never wait, and a writer waits for its
    # turn at BEGIN, instead of failing in the middle of a transaction.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL",
        **DATABASES["default"].get("OPTIONS", {}),
    }

# Only what is set: the defaults are auditrepr's own.
AUDITREPR = {
    name.removeprefix("AUDITREPR_"): env(name)
    for name in env.scheme
    if name.startswith("AUDITREPR_") and name in env.ENVIRON
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "auditrepr",
    "management.gazetteer",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "auditrepr.AuditContextMiddleware",
]
ROOT_URLCONF = "management.urls"
WSGI_APPLICATION = "management.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

USE_TZ = True
TIME_ZONE = env("TIME_ZONE")
LANGUAGE_CODE = env("LANGUAGE_CODE")
STATIC_URL = "static/"
STATIC_ROOT = env("STATIC_ROOT")

CSRF_TRUSTED_ORIGINS = env("CSRF_TRUSTED_ORIGINS")
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env("HTTPS") and not DEBUG
if env("PROXY_SSL_HEADER"):
    SECURE_PROXY_SSL_HEADER = (env("PROXY_SSL_HEADER"), "https")
# Strict transport security binds a whole domain, so its proxy's operator decides.
SILENCED_SYSTEM_CHECKS = ["security.W004"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL").upper()},
}
