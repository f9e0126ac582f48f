"""What code that runs for the past remembers: for one event alone, and out of the live code's way.

Other threads, requests and tasks see the application's own caches at all times.
"""

from __future__ import annotations

from .current import isolated, of_nobody, of_one_object, past
from .state import Isolation

__all__ = ["Isolation", "isolated", "of_nobody", "of_one_object", "past"]
