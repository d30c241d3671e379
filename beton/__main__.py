"""``python -m beton``."""

from beton.cli import main

main()
