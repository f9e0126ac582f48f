"""django-wiki with all its plugins that have tables, every model audited."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [
    *(app for app in INSTALLED_APPS if not app.startswith("tests.")),
    "django.contrib.sites", "django.contrib.humanize", "django_nyt", "mptt", "sekizai",
    "sorl.thumbnail", "wiki", "wiki.plugins.attachments", "wiki.plugins.notifications",
    "wiki.plugins.images", "wiki.plugins.macros",
]  # fmt: skip
MIGRATION_MODULES = {}
SITE_ID = 1
ROOT_URLCONF = "tests.applications.wiki_urls"
AUDITREPR = {"MODELS": ["*"]}
