"""The project that the tests run in: one test app, on the database that ``--on`` names."""

import json
import os

from tests.servers import database_settings

SECRET_KEY = "tests"
ALLOWED_HOSTS = ["127.0.0.1"]
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
ROOT_URLCONF = "tests.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"

# "default" is where nearly every test works; "other" shows what several databases need.
DATABASES = database_settings(os.environ.get("TEST_DATABASE", "sqlite"))
# A process that a test starts (tests/processes.py) works on the database of that test.
if "TEST_DATABASE_NAMES" in os.environ:
    names = json.loads(os.environ["TEST_DATABASE_NAMES"])
    DATABASES = {alias: DATABASES[alias] | {"NAME": name} for alias, name in names.items()}

for one in DATABASES.values():
    more = json.loads(os.environ.get("TEST_DATABASE_SETTINGS", "{}"))
    one |= more | {"OPTIONS": one["OPTIONS"] | more.get("OPTIONS", {})}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "auditrepr",
    "tests.app",
    "tests.drifting",
]
if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    INSTALLED_APPS += ["django.contrib.postgres", "tests.pgapp"]

# The test app has no migrations: the tables that it refers to must have none either.
MIGRATION_MODULES = dict.fromkeys(["admin", "auth", "contenttypes", "sessions"])

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
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
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
