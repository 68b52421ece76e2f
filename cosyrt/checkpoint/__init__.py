"""A model folder, read as data.

The path of a folder that nobody vouches for comes in; out come its description as plain values and its
weights as checked float32 tensors. Nothing in the folder is run. Read `folder.py` first.
"""
