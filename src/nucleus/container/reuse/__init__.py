"""What is kept from one start to the next: compiled plans, roots, descriptors.  ✗ what belongs to one container alone."""
