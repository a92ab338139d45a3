"""CuPy: arrays on a CUDA GPU. `probe` says whether it can compute, `reasons` why not, `backend` is what trains."""
