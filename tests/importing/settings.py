"""The tests' settings with django-pghistory; PostgreSQL only."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [
    *(app for app in INSTALLED_APPS if not app.startswith("tests.")),
    "pgtrigger", "pghistory", "tests.importing",
]  # fmt: skip
TRACKED = (
    "Writer", "Novel", "Shop", "Visit", "Region", "Country", "City", "Company", "Department",
    "Person", "Product", "Purchase", "Item", "Payment", "Stamped", "Kiosk",
    "Kept", "Nameplate", "Instant", "Unreferred", "Split", "Scattered", "Otherwise",
)  # fmt: skip
AUDITREPR = {"MODELS": [f"importing.{name}" for name in TRACKED]}
