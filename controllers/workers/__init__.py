"""Workers: black boxes that do tasks. The file name is the id, each file exports one class."""
