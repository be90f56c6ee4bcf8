"""Imported last by the server from which pages are forked: it makes the other imports cheap for pages."""

import gc
import weakref

# Garbage collection writes to every object that it examines, and each such write in a forked process
# copies memory. Exclude the objects that exist now.
gc.collect()
gc.freeze()

# When a page ends, Python would finalize imported modules, such as torch's libraries of operators. That
# takes longer than running a docstring, and is useless, because the process ends. Finalizers that the page
# itself creates still run.
for finalizer in weakref.finalize._registry:  # type: ignore[attr-defined]
    finalizer.atexit = False
