"""The Celery app of the project that the tests run in, for real workers and for beat."""

from __future__ import annotations

import json
import os
import time

import django
from celery import Celery

app = Celery("shop", broker=os.environ["TEST_BROKER"])
app.conf.update(
    task_routes={"auditrepr.*": {"queue": "represent"}},
    # Redis delivers again at once what was not acknowledged within a second.
    broker_transport_options={
        "visibility_timeout": 1,
        "unacked_restore_interval": 0.5,
        "unacked_restore_throttle": 1,
    },
    broker_connection_retry_on_startup=True,
    task_acks_late=True,  # a project's own wish, which is not this task's
    beat_schedule={
        "represent": {"task": "auditrepr.backfill", "schedule": 0.5, "options": {"expires": 2}}
    },
)
app.autodiscover_tasks()

django.setup()
from django.conf import settings  # noqa: E402

from auditrepr.job.rounds import shares  # noqa: E402
from tests.app.models import Author  # noqa: E402

settings.AUDITREPR = json.loads(os.environ.get("TEST_AUDITREPR", "{}"))
shares.WIDTH, shares.MOST, shares.LEAST = 10, 6, 20
name, seconds = Author.__str__, float(os.environ.get("TEST_ROW_TAKES", "0"))


def said(author: Author) -> str:
    try:
        time.sleep(seconds)
    except Exception:
        return "swallowed"
    return name(author)


Author.__str__ = said
