"""What is to be erased: the events of an object, or those of an actor, and which of their values.

Nothing here changes anything.
"""

from .actor import ActorTarget
from .base import REPLACED, Chosen, Target, as_json
from .object import ObjectTarget

__all__ = ["REPLACED", "ActorTarget", "Chosen", "ObjectTarget", "Target", "as_json"]
