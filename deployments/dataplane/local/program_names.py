"""Names of the programs of a Deployment on this machine, as supervisord and the pages know them."""

API_SERVER, DAG_PROCESSOR, TRIGGERER, REDIS = "api-server", "dag-processor", "triggerer", "redis"
