"""Speech over HTTP and WebSocket: requests of other programs come in, encoded and labelled audio goes out.

`cosyrt serve` starts it. Read `app.py` first: every route and what stands before it; then `speech.py`, which
turns one request into a ticket of the scheduler, and `delivery.py`, which sends its audio. What is kept
stands in `store.py`.
"""
