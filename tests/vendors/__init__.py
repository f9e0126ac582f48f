"""What a database has to answer, whichever it is: docs/new-database.md says how one is added.

Each facet of ``auditrepr.vendors.base`` has its file here. The tests know the interface only, take
the vendor of the database that they run on, and never ask which one it is.
"""
