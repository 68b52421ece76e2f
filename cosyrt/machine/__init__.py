"""What this computer has.

The system is asked; out come the processor, the memory, the graphics cards and the installed runtimes, as a
`Machine` that can also be read from a file. Read `facts.py` first; `probe.py` fills it in.
"""
