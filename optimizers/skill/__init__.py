"""Policy skill: recorded decisions as questions with answers by the checkers, and ways of asking them of a model."""
