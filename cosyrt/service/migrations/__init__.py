"""Steps from each schema of the database to the next, run by Alembic when the service starts.

A database of any released version goes in, one of the newest schema comes out. Read `versions` in the order
of their numbers; `env.py` is what Alembic calls. A step that was released is never changed.
"""
