"""Evidence: what recorded episodes show, as proposers are told it. Observations and checks, never verdicts."""
