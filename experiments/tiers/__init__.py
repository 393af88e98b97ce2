"""What the commands on tiers read, write and draw."""
