"""django-machina, a forum, with every model audited."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

MACHINA = "machina.apps."
INSTALLED_APPS = [
    *(app for app in INSTALLED_APPS if not app.startswith("tests.")),
    "mptt", "haystack", "widget_tweaks", "machina", f"{MACHINA}forum",
    f"{MACHINA}forum_conversation", f"{MACHINA}forum_conversation.forum_attachments",
    f"{MACHINA}forum_conversation.forum_polls", f"{MACHINA}forum_feeds",
    f"{MACHINA}forum_moderation", f"{MACHINA}forum_search", f"{MACHINA}forum_tracking",
    f"{MACHINA}forum_member", f"{MACHINA}forum_permission",
]  # fmt: skip
MIGRATION_MODULES = {}
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
_IN_MEMORY = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
CACHES = {"default": _IN_MEMORY, "machina_attachments": _IN_MEMORY}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
AUDITREPR = {"MODELS": ["*"]}
