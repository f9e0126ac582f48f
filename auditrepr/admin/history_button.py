"""The History button of a ModelAdmin: it shows the audit log of the object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from ..conf import get_settings
from ..models.log_queryset import home
from ..readers.permissions import may_read_log
from ..tracking import tracked_tables
from ..tracking.related import declare
from ..utils.model_meta import concrete
from ..utils.table_names import log_name
from ..vendors import get_vendor
from . import timeline
from .upgrades import or_unavailable

Usual = Callable[..., HttpResponse]
#: The parameter that asks for Django's own history.
OWN = "admin_history"


class AuditHistoryMixin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A mixin for a ModelAdmin whose History button shows the audit log.

    Users who may view the object see its history. A deleted object's history requires the
    permission to view the audit log, because it is no longer known who was allowed to view the
    object.

    ``related`` names relations whose rows belong to the object, such as an order's lines: their
    events are in its history, too.
    """

    related: Sequence[str] = ()

    def __init__(self, model: type[Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        declare(model, self.related)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return history(self, request, object_id, extra_context, super().history_view)


def for_every_model() -> None:
    """Let the History button of every audited model show the audit log, without the mixin."""
    usual: Usual = admin.ModelAdmin.history_view
    if hasattr(usual, "shows_audit_log"):
        return

    @wraps(usual)
    def history_view(
        self: Any, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        otherwise = partial(usual, self)
        if not _shows_log(self):
            return otherwise(request, object_id, extra_context)
        return history(self, request, object_id, extra_context, otherwise)

    history_view.shows_audit_log = True  # type: ignore[attr-defined]
    admin.ModelAdmin.history_view = history_view  # type: ignore[method-assign]


def _shows_log(its_admin: Any) -> bool:
    """Return whether this admin has no say in it, and the model is audited."""
    if isinstance(its_admin, AuditHistoryMixin) or its_admin.object_history_template is not None:
        return False
    table = log_name(concrete(its_admin.model)._meta.db_table)
    using = home(its_admin.model)
    return get_settings().HISTORY_BUTTON and any(
        table == audited.name for audited in tracked_tables(using)
    )


def history(
    its_admin: Any,
    request: HttpRequest,
    object_id: str,
    extra_context: dict[str, Any] | None,
    otherwise: Usual,
) -> HttpResponse:
    """Return the page of the object's history, to those who may view the object.

    :param otherwise: Django's own history, which is shown if that is asked for.
    """
    if OWN in request.GET:
        return otherwise(request, object_id, extra_context)
    found = its_admin.get_object(request, unquote(object_id))
    if found is None:
        return _of_deleted(its_admin, request, object_id, extra_context, otherwise)
    if not its_admin.has_view_or_change_permission(request, found):
        raise PermissionDenied
    return _page(its_admin, request, found.pk, found._state.db, extra_context)


def _of_deleted(
    its_admin: Any,
    request: HttpRequest,
    object_id: str,
    extra_context: dict[str, Any] | None,
    otherwise: Usual,
) -> HttpResponse:
    model: type[Model] = its_admin.model
    try:
        key = model._meta.pk.to_python(unquote(object_id))
        using = its_admin.get_queryset(request).db
        hidden = model._base_manager.using(using).filter(pk=key).exists()
    except (ValueError, TypeError, OverflowError, ValidationError):
        hidden = True  # no object can have such a key
    if hidden:
        return otherwise(request, object_id, extra_context)
    if not (its_admin.has_view_or_change_permission(request) and may_read_log(request.user)):
        raise PermissionDenied
    return _page(its_admin, request, key, using, extra_context)


def _page(
    its_admin: Any,
    request: HttpRequest,
    key: Any,
    alias: str | None,
    extra_context: dict[str, Any] | None,
) -> HttpResponse:
    model = concrete(its_admin.model)
    using = home(model, alias)
    (text,) = get_vendor(using).key_texts(model._meta.pk, [key])
    more = {"admin_history": f"?{OWN}=1", **(extra_context or {})}
    table_name = log_name(model._meta.db_table)
    answer = or_unavailable(timeline.response, using)
    return answer(request, its_admin.admin_site, using, table_name, text, more)
