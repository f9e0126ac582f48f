"""Reads from the options what is to be erased."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db.models import Model

from ...job.erasing.run import Asked
from ...job.erasing.target import ActorTarget, ObjectTarget, Target
from ...utils.model_meta import key_parts
from ...utils.table_names import model_labeled
from ...utils.text import one_line, visible
from ..usage import USAGE


def asked_of(options: Mapping[str, Any]) -> Asked:
    """Return what the options ask for.

    :raises CommandError: with exit code 2, if they name no object or do not go together.
    """
    target = _target(options)
    if options["keep_current"]:
        if not isinstance(target, ObjectTarget):
            raise CommandError("argument --keep-current: requires --object", returncode=USAGE)
        target.keep_current()
    return Asked(
        target,
        frozenset(options["text"] or ()),
        frozenset(options["keep_text"] or ()),
        options["ignore_seals"],
    )


def _target(options: Mapping[str, Any]) -> Target:
    using, named = options["database"], options["columns"] or ()
    if options["actor"] is not None:
        return ActorTarget(using, str(options["actor"]), named)
    label, separator, text = str(options["object"]).partition(":")
    try:
        model = model_labeled(label)
        if not separator or not text:
            raise ValueError("Add the primary key: shop.Customer:17.")
        return ObjectTarget.of(using, model, _key(model, text), named)
    except (LookupError, TypeError, ValueError, ValidationError) as error:
        said = " ".join(error.messages) if isinstance(error, ValidationError) else one_line(error)
        raise CommandError(f"argument --object: {visible(said)}", returncode=USAGE) from error


def _key(model: type[Model], text: str) -> Any:
    """Return the key that the text is.

    :raises ValueError: if it should be an array, and is not.
    """
    parts = key_parts(model._meta.pk)
    if len(parts) == 1:
        return text
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list):
        names = ", ".join(part.name for part in parts)
        raise ValueError(f"The key of {model._meta.label} has several columns: give [{names}].")
    return found
