"""What a person looks at: the trace as a waterfall in the terminal, and the tally in words. Span data in, text out."""
