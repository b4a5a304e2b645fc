"""Starting the launcher and understanding its answers.  ✗ builds no steps."""
