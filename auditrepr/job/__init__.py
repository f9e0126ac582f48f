"""The job: ``backfill_reprs``, and what else works on the whole log.

Start at ``backfill``, ``pending`` and ``runs.run`` (what every run has in common); ``locks`` keeps
runs apart, ``rounds`` divides one among workers, ``storing`` writes what they have built.
"""
