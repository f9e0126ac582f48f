"""A user for looking around in the admin."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.utils.crypto import get_random_string

USERNAME = "demo"
PASSWORD_LENGTH = 16


def create() -> str | None:
    """Create the user; return the password, or None if the user exists already."""
    users = get_user_model().objects
    if users.filter(username=USERNAME).exists():
        return None
    password = get_random_string(PASSWORD_LENGTH)
    users.create_superuser(USERNAME, password=password)
    return password
