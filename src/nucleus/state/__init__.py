"""One directory per container: records, names, locks.  ✗ launch, network."""
