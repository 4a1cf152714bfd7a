"""The Pulumi program: one component a file, and what they are made from."""
