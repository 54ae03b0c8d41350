"""The JSON API of people and Workspaces: endpoints that call the same actions as the pages. `console.api` mounts it."""
