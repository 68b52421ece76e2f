"""One file for each schema of the database, named after its number.

Each says how the schema before becomes this one. There is no way back, a copy is kept instead. Begin with
`0001_first.py`.
"""
