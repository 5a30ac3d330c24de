"""``python -m qann_core`` is the ``qann`` command."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
