"""The benchmark: workloads, peers, and what runs them in turn."""
