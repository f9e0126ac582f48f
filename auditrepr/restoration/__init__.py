"""Puts objects back as they were: what would change, why it cannot be done, and the writing.

``plan`` compares the former row with the current one, ``obstacles`` finds what stands in the way,
``writing`` saves. ``api`` is the public ``restore()``.
"""

from __future__ import annotations

from .api import restore
from .plan import Difference, Restoration

__all__ = ["Difference", "Restoration", "restore"]
