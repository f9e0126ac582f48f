"""The middleware that says who makes a request."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction as is_async
from asgiref.sync import markcoroutinefunction
from django.http import HttpRequest, HttpResponse

from ..conf import get_settings
from .context import LONGEST, context


class AuditContextMiddleware:
    """Makes every request a context: user, request ID, remote address and path.

    It can be anywhere in MIDDLEWARE: the user is determined only when a change is written. The
    setting ``AUDITREPR["CONTEXT"]`` chooses the values.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._asynchronous = is_async(get_response)
        if self._asynchronous:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self._asynchronous:
            return self._awaited(request)
        with context(**_request_context(request)):
            return self.get_response(request)

    async def _awaited(self, request: HttpRequest) -> HttpResponse:
        with context(**_request_context(request)):
            response: HttpResponse = await self.get_response(request)
            return response


def _request_context(request: HttpRequest) -> dict[str, Any]:
    ways: dict[str, Callable[[], Any]] = {
        # Evaluate late: a login, or authentication in the view, changes request.user.
        "user": lambda: partial(getattr, request, "user", None),
        "request_id": lambda: request.headers.get("X-Request-ID") or uuid.uuid4().hex,
        "remote_address": lambda: request.META.get("REMOTE_ADDR") or None,
        "path": lambda: request.path,
    }
    wanted = get_settings().CONTEXT
    told = {name: way() for name, way in ways.items() if name in wanted}
    return {name: v[:LONGEST] if isinstance(v, str) else v for name, v in told.items()}
