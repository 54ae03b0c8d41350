"""What holds of a Deployment whatever it runs on. Pure: no Django, no I/O."""
