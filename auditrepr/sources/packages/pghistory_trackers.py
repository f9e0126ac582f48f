"""What the trackers of django-pghistory record: which labels stand for every change of a kind."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ...utils.model_meta import concrete

ACTIONS = {"INSERT": "I", "UPDATE": "U", "DELETE": "D"}


def actions_of(model: Any) -> dict[str, str]:
    """Return the actions by the labels whose trackers record every change of their kind."""
    found: dict[str, set[str]] = {}
    fields = {field.name for field in model._meta.local_concrete_fields}
    own = concrete(model.pgh_tracked_model)._meta.local_concrete_fields  # a proxy has none
    tracked = fields & {field.name for field in own}
    for tracker in model.pgh_trackers or ():
        found.setdefault(tracker.label, set()).add(_action(tracker, tracked))
    # A label that stands for several says nothing of one row, and of two labels for one action,
    # each change has both.
    certain = {label: actions.pop() for label, actions in found.items() if len(actions) == 1}
    first = {action: label for label, action in reversed(certain.items()) if action}
    return {label: action for action, label in first.items()}


def _action(tracker: Any, tracked: Collection[str]) -> str:
    """Return the action that the tracker records; empty if it does not record all of its kind."""
    action = ACTIONS.get(str(getattr(tracker, "operation", "")).upper(), "")
    if action == "U":
        whole = tracker.row == "NEW" and _is_any_change(tracker.condition, tracked)
    else:
        whole = bool(action) and tracker.condition is None
    return action if whole else ""


def _is_any_change(condition: Any, tracked: Collection[str]) -> bool:
    """Return whether an update that changes one of the tracked fields meets the condition."""
    if condition is None:
        return True
    return (
        type(condition).__name__ == "AnyChange"
        and not condition.exclude
        and not getattr(condition, "exclude_auto", False)
        and not condition._negated
        and set(condition.fields or tracked) >= set(tracked)
    )
