"""What moves rows towards what is desired."""
