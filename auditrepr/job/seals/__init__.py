"""Seals what is settled, so that later changes of the log are found.

``docs/seal.md`` defines what a seal is made of, and what it proves.
"""
