"""The job as tasks of ``django.tasks``, which Django has from version 6 on.

Django has no schedule: cron, or what the backend offers, enqueues :func:`backfill`.
"""

from __future__ import annotations

import django

if django.VERSION >= (6, 0):
    from django.tasks import task
    from django.tasks.backends.immediate import ImmediateBackend

    from .job import slices

    @task
    def backfill(using: str | None = None, max_seconds: float = 60, workers: int = 1) -> None:
        """Store the representations of pending events, until none is pending.

        :param using: the database; by default every one that holds an audit log.
        :param max_seconds: start no new batch after this time; the next task continues.
        :param workers: with two or more, a large backlog is shared with other workers.
        :raises JobFailed: where ``backfill_reprs`` exits with 1.
        """
        # That backend runs a task in its caller: it would never come back.
        direct = isinstance(backfill.get_backend(), ImmediateBackend)
        again = True
        while again:
            done = slices.work(using, max_seconds, workers, None if direct else assist.enqueue)
            again = done.unfinished
            if again and not direct:
                backfill.enqueue(using, max_seconds, workers)
            done.check()
            again = again and direct

    @task
    def assist(using: str, max_seconds: float = 60) -> None:
        """Help to work on a large backlog that :func:`backfill` has cut into shares.

        :raises JobFailed: if the work ends with an error.
        """
        slices.assist(using, max_seconds).check()
