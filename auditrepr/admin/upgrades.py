"""Answers for the pages of a log that waits for migrations, or cannot be reached."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from functools import reduce, wraps
from typing import Any

from django.db import Error, connections, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern
from django.utils.translation import gettext as _

from ..capture import inspection
from ..exceptions import DatabaseUnreachable, MigrationsPending
from ..job import preflight
from ..readers.permissions import asked_log

logger = logging.getLogger("auditrepr.admin")
View = Callable[..., HttpResponse]
#: Seconds after which a browser or a proxy may ask again.
AGAIN = 60


def guarded(pattern: URLPattern) -> URLPattern:
    """Return the pattern with a view that says what is pending, where it would fail for that.

    The transaction that ``ATOMIC_REQUESTS`` asks for is begun inside: after an error it has ended.
    """
    inside = or_unavailable(_in_transactions(pattern.callback))
    pattern.callback = reduce(_without_transaction, connections, inside)
    return pattern


def or_unavailable(view: View, using: str = "") -> View:
    """Return the view, or what stands in its place until ``migrate``, or until the log is back.

    :param using: the database whose log it shows, for a part of a page of the project's; by
        default the one that the address names.
    """

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        try:
            alias = using or asked_log(request)
        except Http404:  # the view says so, to those who may know
            return view(request, *args, **options)
        within = bool(using) and connections[alias].in_atomic_block
        try:
            # After an error, PostgreSQL takes no query before the savepoint is rolled back to.
            with transaction.atomic(alias) if within else nullcontext():
                return view(request, *args, **options)
        except Error as error:
            try:
                inspection.connect(alias)
                preflight.check_own_tables(alias, error)
            except MigrationsPending as pending:
                return _waiting(request, pending)
            except DatabaseUnreachable as unreachable:
                logger.error("%s", unreachable, extra={"database": alias})
                return _unreachable(request, alias)
            except Error:
                pass  # as after every error within a transaction of the caller's
            raise

    return answer


def _in_transactions(view: View) -> View:
    @wraps(view)
    def answer(*args: Any, **options: Any) -> HttpResponse:
        with ExitStack() as stack:
            for alias, settings in connections.settings.items():
                if settings["ATOMIC_REQUESTS"]:
                    stack.enter_context(transaction.atomic(alias))
            return view(*args, **options)

    return answer


def _without_transaction(view: View, alias: str) -> View:
    return transaction.non_atomic_requests(alias)(view)


def _waiting(request: HttpRequest, pending: MigrationsPending) -> HttpResponse:
    explanation = _(
        "The audit log is being upgraded. Changes are still recorded; this page can be read once"
        " the migrations are applied."
    )
    return _unavailable(request, _("Waiting for migrations"), str(pending), explanation)


def _unreachable(request: HttpRequest, alias: str) -> HttpResponse:
    # The driver's message names hosts and roles: it is for the log.
    notice = _("Database “%(database)s” cannot be reached.") % {"database": alias}
    explanation = _(
        "Nothing is lost: each database records its own changes. Try again later; the error is in"
        " the application's log."
    )
    return _unavailable(request, _("The audit log cannot be reached"), notice, explanation)


def _unavailable(request: HttpRequest, title: str, notice: str, explanation: str) -> HttpResponse:
    context = {"title": title, "notices": [notice], "explanation": explanation}
    answer = render(request, "auditrepr/unavailable.html", context, status=503)
    answer["Retry-After"] = str(AGAIN)
    return answer
