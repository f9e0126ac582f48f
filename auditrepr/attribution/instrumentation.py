"""Adds the names of management commands and Celery tasks to the context."""

from __future__ import annotations

from functools import wraps
from importlib.util import find_spec
from typing import Any

from django.core.management.base import BaseCommand

from ..exceptions import InvalidSetting
from .context import context, tells

_running: dict[str, context] = {}  # Celery's tasks, by their ids


def connect() -> None:
    """Make commands name themselves, and tasks if Celery is installed; later calls do nothing."""
    if not hasattr(BaseCommand.execute, "__wrapped__"):
        BaseCommand.execute = _naming(BaseCommand.execute)  # type: ignore[method-assign]
    if find_spec("celery"):
        from celery import signals

        signals.task_prerun.connect(_before_task)
        signals.task_postrun.connect(_after_task)


def _naming(execute: Any) -> Any:
    # Django sends no signal, and a command may be called by another, or by a view.
    @wraps(execute)
    def execute_by_name(self: BaseCommand, *args: Any, **options: Any) -> Any:
        try:
            named = tells("command")
        except InvalidSetting:  # a system check, or the command itself, reports it
            named = False
        if not named:
            return execute(self, *args, **options)
        with context(command=type(self).__module__.rpartition(".")[2]):
            return execute(self, *args, **options)

    return execute_by_name


def _before_task(*, task_id: str, task: Any, **_: Any) -> None:
    if tells("task"):
        _running[task_id] = context(task=task.name, task_id=task_id)
        _running[task_id].__enter__()


def _after_task(*, task_id: str, **_: Any) -> None:
    if task_id in _running:
        _running.pop(task_id).__exit__()
