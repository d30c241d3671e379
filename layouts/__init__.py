"""What is seen: pure functions from (state, read model) to components. No I/O and no callback context."""
