"""Builds stored representations again."""
