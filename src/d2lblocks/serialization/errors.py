"""What goes wrong with files."""


class DamagedFileError(RuntimeError):
    """A file is not as it was written: cut off, changed, or of another kind altogether.

    Raised by `load_parameters` and `load_checkpoint`, before anything has changed.
    """
