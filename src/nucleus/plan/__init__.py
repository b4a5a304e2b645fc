"""What the launcher will do, as data: (spec, policy, facts) → LaunchPlan → bytes.  Pure.  ✗ no I/O, clock, randomness."""
