"""Seals what is settled, so that whoever changes the log later is found out.

``docs/seal.md`` defines what a seal is made of, and what it proves.
"""
