"""Values, errors, units and identifiers that every layer uses. ✗ imports nothing else of nucleus."""
