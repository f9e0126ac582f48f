"""Erases a person from the log; ``docs/personal-data.md`` says what is replaced.

First what names the person elsewhere is replaced, and then what the object's own events hold: by
these values the rest is found, so a run that was killed is repeated as a whole. At last,
representations are built again from what is left.
"""
