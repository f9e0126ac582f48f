"""Sends the events of a page as a file, in chunks, without a time limit."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import chain
from typing import cast

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from ..readers.export import Export, Page, said_after
from ..readers.export_formats import FORMATS, Format

#: The parameter with the format of the export; a page without it is a page.
EXPORT = "export"
LABELS = {"csv": _("Export as CSV"), "jsonl": _("Export as JSON Lines")}
#: Seconds of silence after which a byte is sent: a proxy takes longer ones for the end.
SILENCE = 5.0
#: Bytes that are kept for such times.
KEPT = 100


def asked_format(request: HttpRequest) -> Format:
    """Return the format that the URL asks for.

    :raises Http404: if there is no such format.
    """
    name = request.GET[EXPORT]
    if name not in FORMATS:
        raise Http404(f"There is no export {name!r}: choose from {', '.join(FORMATS)}.")
    return FORMATS[name]()


def response(
    request: HttpRequest, export: Export, form: Format, name: str = "audit-log"
) -> HttpResponse:
    """Return the export as a download; the caller has checked the permission.

    Its first page is read now: an error that comes then has a page that says what to do.
    """
    export.try_tables()
    pages = export.pages()
    first = next(pages, None)
    chunks = _patient(_chunks(export, form, chain([first] if first else (), pages)), form)
    several = isinstance(request, ASGIRequest)  # else Django would collect all of it first
    streaming = StreamingHttpResponse(
        _one_by_one(chunks) if several else chunks,
        content_type=form.content_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}-{now():%Y-%m-%d}.{form.suffix}"',
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # nginx: pass on what there is
        },
    )
    return cast(HttpResponse, streaming)  # which the admin's views are declared to return


def _chunks(export: Export, form: Format, pages: Iterable[Page]) -> Iterator[bytes]:
    """Yield the file; the last record is there only if the export came to an end.

    An error ends the connection, so that a browser does not take the file for a whole one.
    """
    yield form.head()
    try:
        for page in pages:
            yield b"".join(map(form.line, page.records))
    except Exception:
        yield form.end(end="error", events=export.count, continue_from=said_after(export.reached))
        raise
    yield form.end(
        end="complete", events=export.count, continue_from=said_after(export.continue_from)
    )


def _patient(chunks: Iterator[bytes], form: Format) -> Iterator[bytes]:
    """Yield the same bytes, and some of them late, so that there is no long silence."""
    kept = b""
    sent = time.monotonic()
    try:
        for chunk in chunks:
            if chunk:
                kept += chunk
                ready, kept = kept[:-KEPT], kept[-KEPT:]
            elif time.monotonic() - sent > SILENCE:
                ready, kept = kept[:1] or form.blank, kept[1:]
            else:
                continue
            if ready:
                yield ready
                sent = time.monotonic()
    except Exception:
        yield kept
        raise
    yield kept


async def _one_by_one(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    following = sync_to_async(lambda: next(chunks, None))
    while (chunk := await following()) is not None:
        yield chunk
