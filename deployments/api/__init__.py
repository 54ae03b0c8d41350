"""The JSON API of Deployments: endpoints that call the same actions, forms and queries as the pages. `console.api`
mounts it."""
