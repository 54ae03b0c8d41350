"""`manage.py backup` and `restore`: what counts of an installation as one file. docs/operations.md is for operators.

It needs no pg_dump, which production's image does not have: tables leave by COPY, in one transaction that sees them all
as they were at one moment.
"""
