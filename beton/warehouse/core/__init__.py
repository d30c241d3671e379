"""The core tier: a snapshot's events and units as memory-mapped arrays, and the kernels that answer from them."""
