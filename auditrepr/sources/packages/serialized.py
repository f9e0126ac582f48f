"""Which fields' values can be read exactly from what Django's serializers have written."""

from __future__ import annotations

from typing import Any

from ...vendors.import_types import Form

_FORMS = {
    **dict.fromkeys(
        (
            "AutoField", "BigAutoField", "SmallAutoField", "IntegerField", "BigIntegerField",
            "SmallIntegerField", "PositiveIntegerField", "PositiveBigIntegerField",
            "PositiveSmallIntegerField",
        ),
        Form.INTEGER,
    ),
    **dict.fromkeys(("CharField", "TextField", "SlugField", "FilePathField"), Form.TEXT),
    "BooleanField": Form.BOOLEAN,
    "DecimalField": Form.DECIMAL,
    "FloatField": Form.FLOAT,
    "DateField": Form.DATE,
    "TimeField": Form.TIME,
    "DateTimeField": Form.DATETIME,
    "UUIDField": Form.UUID,
    "JSONField": Form.JSON,
}  # fmt: skip

#: What decides how a value is stored, and how it is serialized.
_WAYS = frozenset(
    {
        "db_type", "from_db_value", "get_db_prep_save", "get_db_prep_value", "get_prep_value",
        "pre_save", "to_python", "value_from_object", "value_to_string",
    }
)  # fmt: skip


def form(field: Any) -> Form | None:
    """Return how serializers write the field's values; None if the stored ones may be others.

    Fields of other classes than Django's may store something else, and some of Django's change a
    value while it is saved.
    """
    while field.is_relation:
        field = field.target_field
    owners = [base for base in type(field).__mro__ if _WAYS.intersection(vars(base))]
    ours = all(base.__module__.startswith("django.") for base in owners)
    if not ours or field.generated or getattr(field, "encoder", None):
        return None
    return _FORMS.get(field.get_internal_type())


def is_set_by_saving(field: Any) -> bool:
    """Return whether saving changes the value: what is serialized before has the one before."""
    return bool(getattr(field, "auto_now", False))
