"""The code of Deployments on this machine: contents, versions, and which one is active."""
