"""What ci/gpu measures on a CUDA machine, in parts that are tested without one."""
