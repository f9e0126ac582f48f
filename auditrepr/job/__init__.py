"""The job: ``backfill_reprs``, and what else works on the whole log (rebuild, prune, status).

Start at ``run`` (what every run has in common), ``backfill`` and ``pending``; ``locks`` keeps
runs apart.
"""
