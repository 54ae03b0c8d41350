"""What moves rows towards what is wanted."""
