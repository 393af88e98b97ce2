"""What the command on a model's policy skill reads, asks and writes."""
