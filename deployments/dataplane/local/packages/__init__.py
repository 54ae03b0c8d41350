"""Packages of Deployments on this machine, beyond those of their runtime: resolved, installed, shared, dropped."""
