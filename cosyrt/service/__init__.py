"""Speech over HTTP and WebSocket, for many users.

A request comes in with a key, audio goes out; accounts, keys, voices and consents are kept in a database.
Read `app.py` first, then `store.py`, which everything that is kept goes through.
"""
