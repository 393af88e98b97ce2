"""What a black box says to its model, seen from between: a local proxy, the calls it records, their price."""
