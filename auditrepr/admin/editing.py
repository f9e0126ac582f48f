"""What a user may put back: what the admin lets them add or change, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.utils import flatten_fieldsets, quote
from django.contrib.auth import get_permission_codename
from django.db.models import Field, Model
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ..restoration import Restoration


class Editor:
    """The permissions of one user for one model, as its ModelAdmin on this site has them.

    A model that has none there goes by its permissions; an automatic many-to-many table, by the
    permission to change the model that has the field.
    """

    def __init__(self, request: HttpRequest, site: AdminSite, model: type[Model]) -> None:
        self.request = request
        self.model = model
        self.admin: ModelAdmin[Any] | None = site._registry.get(model)

    def may_any(self) -> bool:
        """Return whether the user may put back some object of the model."""
        return self._may("change", None) or self._may("add", None)

    def may(self, planned: Restoration, now: Model | None) -> bool:
        """Return whether the user may do what this plan says."""
        if planned.recreates:
            return self._may("add", None)
        if self.admin is not None:
            seen = self.admin.get_object(self.request, quote(planned.pk))
            if seen is None or seen._state.db != planned.using:
                return False  # the ModelAdmin hides it, or shows another database's
        return self._may("change", now)

    def obstacles(self, planned: Restoration, now: Model | None) -> Iterator[str]:
        """Yield why the user may not write some of the fields, though they may others."""
        if self.admin is None:
            return
        open_fields = self._open_fields(self.admin, planned, now)
        for change in planned.changes:
            if change.field.name not in open_fields and not _comes_by_itself(planned, change.field):
                yield _(
                    "You may not change the field “%(field)s”: the admin does not let you edit it."
                ) % {"field": change.field.verbose_name}

    def _open_fields(
        self, admin: ModelAdmin[Any], planned: Restoration, now: Model | None
    ) -> set[str]:
        """Return the fields that the admin's forms let the user set."""
        found = _form_fields(admin, self.request, now)
        if planned.recreates and self._may("change", None):
            # Who may add it and then change it may set the fields of both forms.
            found |= _form_fields(admin, self.request, self.model(**dict(planned.values)))
        return found

    def _may(self, action: str, obj: Model | None) -> bool:
        owner: Any = self.model._meta.auto_created
        if self.admin is not None and action == "add":
            return bool(self.admin.has_add_permission(self.request))
        if self.admin is not None:
            return bool(self.admin.has_change_permission(self.request, obj))
        options = (owner or self.model)._meta
        codename = get_permission_codename("change" if owner else action, options)
        user: Any = self.request.user
        return bool(user.has_perm(f"{options.app_label}.{codename}"))


def _form_fields(admin: ModelAdmin[Any], request: HttpRequest, obj: Model | None) -> set[str]:
    shown = {str(name) for name in flatten_fieldsets(admin.get_fieldsets(request, obj))}
    return shown - {str(name) for name in admin.get_readonly_fields(request, obj)}


def _comes_by_itself(planned: Restoration, field: Field[Any, Any]) -> bool:
    """Return whether no form has the field, or a new object has this value anyway."""
    if not field.editable:
        return True
    value = planned.values.get(field.attname)
    return planned.recreates and bool(value == field.get_default())
