"""What this machine offers: frozen facts, the one reader that fills them, and what a person should mend."""
