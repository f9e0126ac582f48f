"""django CMS with djangocms-stories, a blog in several languages, every model audited."""

from typing import Any

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [
    *(app for app in INSTALLED_APPS if not app.startswith("tests.")),
    "django.contrib.sites", "cms", "menus", "treebeard", "sekizai", "parler", "filer",
    "easy_thumbnails", "taggit", "sortedm2m", "meta", "djangocms_text",
    "djangocms_stories",
]  # fmt: skip
MIGRATION_MODULES: dict[str, Any] = {}
SITE_ID = 1
CMS_CONFIRM_VERSION4 = True
LANGUAGES = [("en", "English"), ("de", "German"), ("fr", "French")]
PARLER_LANGUAGES = {
    1: [{"code": code} for code, _ in LANGUAGES],
    "default": {"fallbacks": ["en"], "hide_untranslated": False},
}
CMS_TEMPLATES = [("admin/base_site.html", "Page")]
META_SITE_PROTOCOL, META_USE_SITES = "https", True
CACHES: dict[str, Any] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
AUDITREPR = {"MODELS": ["*"]}
