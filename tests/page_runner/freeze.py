"""Imported last by the server that pages are forked from: what it has imported costs pages nothing more."""

import gc
import weakref

# Garbage collection writes to every object that it looks at, and in a forked process each such write copies
# memory. So what is there is kept out of it.
gc.collect()
gc.freeze()

# When a page ends, Python would undo what its imports have set up, as torch's libraries of operators: for
# longer than a docstring runs, and for nothing, since the process ends with it. A page's own are called.
for finalizer in weakref.finalize._registry:  # type: ignore[attr-defined]
    finalizer.atexit = False
