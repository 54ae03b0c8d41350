"""Views: guard, load, act, render."""
