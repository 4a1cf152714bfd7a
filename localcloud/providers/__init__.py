"""The engine's side of the local cloud: gRPC servers that speak for the azure-native and databricks plugins."""
