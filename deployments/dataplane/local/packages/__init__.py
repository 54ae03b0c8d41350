"""Packages of Deployments on this machine, beyond those of their runtime: found out, installed, shared, dropped."""
