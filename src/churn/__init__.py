"""This repository's own model: the stages of dvc.yaml, and the library's first adopter.

It holds no column names: what the columns are it reads from the data contract, what they are for from params.yaml.
"""
