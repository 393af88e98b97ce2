"""Learning in some domains and trying what was learned in another; a domain is a benchmark with its options."""
