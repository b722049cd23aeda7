"""What every store promises, on every backend."""
