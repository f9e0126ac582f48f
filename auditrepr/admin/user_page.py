"""The page of a user in the admin: it links to what they did."""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from ..conf import get_settings
from ..models.log_queryset import home
from ..readers.permissions import may_read_log
from .links import deeds_link


def for_users() -> None:
    """Let the page of a user link to the events of which they are the actor."""
    usual = admin.ModelAdmin.render_change_form
    if hasattr(usual, "links_to_deeds"):
        return

    @wraps(usual)
    def render_change_form(
        self: Any, request: HttpRequest, context: dict[str, Any], *given: Any, **more: Any
    ) -> HttpResponse:
        response = usual(self, request, context, *given, **more)
        link = _link(self, request, context.get("original"))
        if link and isinstance(response, TemplateResponse):
            page = response.resolve_template(response.template_name)
            response.context_data = {
                **(response.context_data or {}),
                "usual_page": page,
                "did": link,
            }
            response.template_name = "auditrepr/user_page.html"
        return response

    render_change_form.links_to_deeds = True  # type: ignore[attr-defined]
    admin.ModelAdmin.render_change_form = render_change_form  # type: ignore[method-assign]


def _link(its_admin: Any, request: HttpRequest, user: Any) -> str | None:
    """Return the link to what this user did, if the reader may read it; None for other objects."""
    if not (get_settings().HISTORY_BUTTON and isinstance(user, get_user_model())):
        return None
    if not may_read_log(request.user):
        return None
    return deeds_link(its_admin.admin_site, home(type(user), user._state.db), user.pk)
