"""The way to a page that is none of Django's own, as Django's pages show theirs."""

from __future__ import annotations

from typing import Any

import django
from django.contrib.admin import AdminSite
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ..models import AuditLog
from .event_lines import query_of


def way_to_log(site: AdminSite, using: str, *, may_read_log: bool) -> dict[str, Any]:
    """Return what the template of the breadcrumbs needs: the pages above one of the log's."""
    options: Any = AuditLog._meta

    def address(name: str, **parts: str) -> str:
        return reverse(f"admin:{name}", kwargs=parts, current_app=site.name)

    crumbs = [(_("Home"), address("index"))]
    if may_read_log:
        listed = f"{address('auditrepr_auditlog_changelist')}{query_of(using)}"
        crumbs += [
            (options.app_config.verbose_name, address("app_list", app_label=options.app_label)),
            (capfirst(options.verbose_name_plural), listed),
        ]
    return {"crumbs": crumbs, "crumbs_are_a_list": django.VERSION >= (6, 1)}
