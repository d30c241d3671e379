"""What the product is held to, measured: ratios to named peers on the same rows, with equal results. See README.md."""
