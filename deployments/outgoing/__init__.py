"""What goes out of the console to addresses that people named."""
