"""Somebody who may look around in the admin."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.utils.crypto import get_random_string

USERNAME = "demo"
PASSWORD_LENGTH = 16


def create() -> str | None:
    """Make the user: the password, or none if the user is there already."""
    users = get_user_model().objects
    if users.filter(username=USERNAME).exists():
        return None
    password = get_random_string(PASSWORD_LENGTH)
    users.create_superuser(USERNAME, password=password)
    return password
