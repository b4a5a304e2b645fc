"""What the workload may do: names to numbers, rules to bytes, paths to rights.  Pure.  ✗ no host, no plan."""
