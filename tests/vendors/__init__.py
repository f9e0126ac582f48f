"""The conformance tests of every database: docs/new-database.md describes how to add one.

Each facet of ``auditrepr.vendors.base`` has its file here. The tests know the interface only, take
the vendor of the database that they run on, and never ask which one it is.
"""
