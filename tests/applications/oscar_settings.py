"""django-oscar as its own sandbox sets it up, with every model audited."""

from oscar import INSTALLED_APPS as OF_OSCAR
from oscar.defaults import *  # noqa: F403

from tests.settings import (  # noqa: F401
    DATABASES,
    DEFAULT_AUTO_FIELD,
    SECRET_KEY,
    TEMPLATES,
    TIME_ZONE,
    USE_TZ,
)

INSTALLED_APPS = [*OF_OSCAR, "auditrepr"]
SITE_ID = 1
STATIC_URL = "static/"
ROOT_URLCONF = "tests.urls"
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
AUDITREPR = {"MODELS": ["*"]}
