"""What the end-to-end tests stand on: the programs as people run them, the machine, and stock LUKS tools."""
