"""Read and validate packages, which may be broken or hostile."""
