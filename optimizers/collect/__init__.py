"""Recording for replay: what to buy, what is there, and what it costs."""
