"""What the user asks for, in the user's words: pure values, and the text they are written in."""
