"""Audit rows written by the database, made readable by Django."""

from .tracking import track

__all__ = ["track"]
