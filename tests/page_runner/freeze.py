"""Imported last by the server that pages are forked from.

Garbage collection writes to every object that it looks at.
In a forked process each such write copies memory.
So what the server has imported is kept out of it.
"""

import gc

gc.collect()
gc.freeze()
