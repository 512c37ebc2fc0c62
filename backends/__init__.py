"""Storage, usable without the service: one contract, several backends."""
