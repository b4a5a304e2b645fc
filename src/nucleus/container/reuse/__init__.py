"""What is kept from one start to the next: compiled plans, roots, descriptors."""
