"""Runs workflows: a pure planner decides, an executor carries out, the stores remember.

``service.Engine`` is the way in. Nothing is imported here, so that reading a workflow file needs no executor.
"""
