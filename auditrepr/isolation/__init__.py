"""Empty caches for code that runs as of an event: only for that event, next to the live ones.

Other threads, requests and tasks see the application's own caches at all times.
"""

from __future__ import annotations

from .current import isolated, of_nobody, of_one_object, past
from .state import Isolation

__all__ = ["Isolation", "isolated", "of_nobody", "of_one_object", "past"]
