"""Believable traffic of SMRT Link systems, made from the schemas: for demonstrations, and for load."""

from eventserver.simulation.traffic import Simulation

__all__ = ["Simulation"]
