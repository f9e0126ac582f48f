"""The job as tasks of ``django.tasks``, which Django has from version 6 on.

Django has no schedule: cron, or what the backend offers, enqueues :func:`backfill`.
"""

from __future__ import annotations

from collections.abc import Collection, Set

import django

if django.VERSION >= (6, 0):
    from django.conf import settings
    from django.tasks import (
        DEFAULT_TASK_BACKEND_ALIAS,
        DEFAULT_TASK_QUEUE_NAME,
        Task,
        TaskContext,
        task,
    )
    from django.tasks.backends.immediate import ImmediateBackend

    from .job import slices

    def _first(names: Collection[str], usual: str) -> str:
        if usual in names or not names:
            return usual
        # Each process has to choose the same one.
        return min(names) if isinstance(names, Set) else next(iter(names))

    # A project need not have a backend or queue of the usual name.
    _BACKEND = _first(settings.TASKS, DEFAULT_TASK_BACKEND_ALIAS)
    _QUEUES = settings.TASKS.get(_BACKEND, {}).get("QUEUES", ())
    _QUEUE = _first(_QUEUES, DEFAULT_TASK_QUEUE_NAME)

    @task(backend=_BACKEND, queue_name=_QUEUE, takes_context=True)
    def backfill(
        context: TaskContext[..., None],
        using: str | None = None,
        max_seconds: float = 60,
        workers: int = 1,
    ) -> None:
        """Store the representations of pending events, until none is pending.

        :param context: from the worker.
        :param using: the database; by default every one that holds an audit log.
        :param max_seconds: start no new batch after this time; the next task continues.
        :param workers: with two or more, a large backlog is shared with other workers.
        :raises JobFailed: where ``backfill_reprs`` exits with 1.
        """
        came = context.task_result.task
        # That backend runs a task in its caller: it would never come back.
        direct = isinstance(came.get_backend(), ImmediateBackend)

        def ask(alias: str, seconds: float) -> None:
            _like(came, assist).enqueue(alias, seconds)

        again = True
        while again:
            done = slices.work(using, max_seconds, workers, None if direct else ask)
            again = done.unfinished
            if again and not direct:
                _like(came, backfill).enqueue(using, max_seconds, workers)
            done.check()
            again = again and direct

    @task(backend=_BACKEND, queue_name=_QUEUE)
    def assist(using: str, max_seconds: float = 60) -> None:
        """Help to work on a large backlog that :func:`backfill` has cut into shares.

        :raises JobFailed: if the work ends with an error.
        """
        slices.assist(using, max_seconds).check()

    def _like(came: Task[..., None], other: Task[..., None]) -> Task[..., None]:
        """Return the other task with the backend, queue and priority of the one that runs."""
        return other.using(backend=came.backend, queue_name=came.queue_name, priority=came.priority)
