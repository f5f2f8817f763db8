"""Console, devices, threads, signals and versions."""
