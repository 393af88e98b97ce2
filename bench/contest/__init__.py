"""The contest of engines: the worlds that they search, what is measured of each search, and the table and figure."""
