"""Azure and Databricks on this machine: what their documentation says they do, with no account and no cost."""
