"""Errors about files."""


class DamagedFileError(RuntimeError):
    """A file is not as it was written: it is cut off, changed, or of another kind.

    `load_parameters` and `load_checkpoint` raise it before anything has changed.
    """
